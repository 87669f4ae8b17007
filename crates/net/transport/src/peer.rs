use std::net::IpAddr;

use mqtt::ConnectReturnCode;
use pki::PeerChain;

use crate::device_session::ConnectRefused;
use crate::unproven::TrackedConnection;

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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::unproven::{ConnectionLimits, UnprovenConnections};

    #[tokio::test]
    async fn a_client_is_proven_by_its_proof_and_refused_without_a_free_slot() {
        let limits = ConnectionLimits {
            proven: 1,
            unproven: 10,
            unproven_per_address: 10,
            unproven_input: 1024,
        };
        let unproven = UnprovenConnections::new(limits);
        let peer = || Peer {
            chain: PeerChain::default(),
            address: Ipv4Addr::LOCALHOST.into(),
            connection: unproven.enter(Ipv4Addr::LOCALHOST.into()).0,
        };
        let (first, second) = (peer(), peer());
        let wrong = ConnectRefused::new(ConnectReturnCode::NotAuthorized, "a wrong token");
        let failed = first
            .prove_with(async { Err::<(), _>(wrong.clone()) })
            .await;
        assert_eq!(failed, Err(wrong));
        assert!(!first.connection.is_proven());
        assert_eq!(first.prove_with(async { Ok(7) }).await, Ok(7));
        assert!(first.connection.is_proven());
        let refused = second.prove_with(async { Ok(()) }).await.unwrap_err();
        assert_eq!(refused.code, ConnectReturnCode::ServerUnavailable);
        assert!(!second.connection.is_proven());
    }
}
