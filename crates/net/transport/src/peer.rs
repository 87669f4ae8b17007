use std::net::IpAddr;

use mqtt::ConnectReturnCode;
use pki::PeerChain;

use crate::accept::TrackedConnection;
use crate::device_session::ConnectRefused;

/// The client of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The certificates of its handshake. It has proved only that it holds the leaf's key.
    pub chain: PeerChain,
    /// The address that it connects from.
    pub address: IpAddr,
    /// The limits that its connection counts against.
    pub connection: TrackedConnection,
}

impl Peer {
    /// Runs `proof`, and marks the connection as proven when it succeeds. A slot for a proven
    /// connection is reserved meanwhile.
    ///
    /// Fails as `proof` does, or when no slot is free.
    pub async fn prove_with<T>(
        &self,
        proof: impl Future<Output = Result<T, ConnectRefused>>,
    ) -> Result<T, ConnectRefused> {
        let Some(slot) = self.connection.reserve() else {
            return Err(ConnectRefused::new(
                ConnectReturnCode::ServerUnavailable,
                "the server holds as many connections as it may; see max_connections",
            ));
        };
        let proven = proof.await?;
        self.connection.mark_proven(slot);
        Ok(proven)
    }
}
