//! Connections to NATS JetStream.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue, NATS_MESSAGE_ID};
use async_nats::jetstream::context::{ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Context, Error as StreamError, ErrorCode};
use async_nats::{ConnectOptions, ServerAddr};
use outbound::{
    Connecting, OnBehalf, OutboundFault, Publishing, StreamConnection, StreamFault, StreamLogin,
    StreamMessage, StreamServer, Streams,
};
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::OutboundClient;
use super::host_verifier::HostVerifier;

/// How long connecting may take, with the name, TLS and the login.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long a stream may take to acknowledge a message.
const ACKNOWLEDGING: Duration = Duration::from_secs(10);
/// How often a silent server is asked whether it is there.
const PING: Duration = Duration::from_secs(20);

impl Streams for OutboundClient {
    fn connect(&self, server: StreamServer) -> Connecting<'_> {
        Box::pin(async move {
            match timeout(CONNECTING, self.open(server)).await {
                Ok(opened) => opened,
                Err(_) => Err(OutboundFault::Silent(CONNECTING)),
            }
        })
    }
}

impl OutboundClient {
    async fn open(&self, server: StreamServer) -> Result<Box<dyn StreamConnection>, OutboundFault> {
        let addresses = self.addresses(&server).await?;
        let server_addr = |address: &SocketAddr| format!("nats://{address}").parse::<ServerAddr>();
        let servers: Result<Vec<_>, _> = addresses.iter().map(server_addr).collect();
        let servers = servers.map_err(|error| unreachable(&error))?;
        let options = options(&server, self.tls(&server.host)?);
        // One attempt for each address. After a failure the caller connects anew, so that changes
        // of the name are seen.
        let client = options.max_reconnects(servers.len()).connect(servers);
        let client = client.await.map_err(|error| unreachable(&error))?;
        let context = ContextBuilder::new().ack_timeout(ACKNOWLEDGING);
        let context = context.timeout(ACKNOWLEDGING).build(client);
        Ok(Box::new(Connection(context)))
    }

    /// The addresses of a server that may be connected to.
    async fn addresses(&self, server: &StreamServer) -> Result<Vec<SocketAddr>, OutboundFault> {
        let found = match server.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, server.port)],
            Err(_) => {
                let found = lookup_host((server.host.as_str(), server.port)).await;
                found.map_err(|error| unreachable(&error))?.collect()
            }
        };
        let is_free = server.on_behalf == OnBehalf::Owner && !self.guards_owner;
        let admits = |found: &SocketAddr| is_free || self.guard.admits(found.ip());
        let admitted: Vec<_> = found.into_iter().filter(admits).collect();
        match admitted.is_empty() {
            true => Err(OutboundFault::NotAllowed),
            false => Ok(admitted),
        }
    }

    fn tls(&self, host: &str) -> Result<ClientConfig, OutboundFault> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let host = ServerName::try_from(host.to_owned()).map_err(|error| unreachable(&error))?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(self.roots.clone(), provider.clone());
        let verifier = verifier.build().map_err(|error| unreachable(&error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unreachable(&error))?;
        let verifier = Arc::new(HostVerifier::new(verifier, host));
        let config = config
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(config.with_no_client_auth())
    }
}

fn options(server: &StreamServer, tls: ClientConfig) -> ConnectOptions {
    let options = ConnectOptions::new()
        .name(concat!("muster/", env!("CARGO_PKG_VERSION")))
        .no_echo()
        // Those were not checked.
        .ignore_discovered_servers()
        .connection_timeout(CONNECTING)
        .ping_interval(PING)
        .require_tls(server.is_tls)
        .tls_client_config(tls)
        .event_callback(|event| async move { tracing::debug!(%event, "connection to NATS") });
    match &server.login {
        StreamLogin::Anonymous => options,
        StreamLogin::Token(token) => options.token(token.to_string()),
        StreamLogin::Password { user, password } => {
            options.user_and_password(user.clone(), password.to_string())
        }
    }
}

fn unreachable(error: &dyn std::error::Error) -> OutboundFault {
    OutboundFault::Unreachable(error.to_string())
}

struct Connection(Context);

impl StreamConnection for Connection {
    fn publish(&self, messages: Vec<StreamMessage>) -> Publishing<'_> {
        Box::pin(async move {
            let mut sent = Vec::with_capacity(messages.len());
            for message in messages {
                let (subject, message) = encode(message)?;
                let acknowledged = self.0.send_publish(subject, message).await;
                sent.push(acknowledged.map_err(fault)?);
            }
            for acknowledged in sent {
                acknowledged.await.map_err(fault)?;
            }
            Ok(())
        })
    }
}

fn encode(message: StreamMessage) -> Result<(String, PublishMessage), StreamFault> {
    let unfit = || StreamFault::Refused("a property cannot be a header of NATS".to_owned());
    let mut headers = HeaderMap::new();
    for (name, value) in message.headers {
        let name: HeaderName = name.parse().map_err(|_| unfit())?;
        let value: HeaderValue = value.parse().map_err(|_| unfit())?;
        headers.insert(name, value);
    }
    let id: HeaderValue = message.id.parse().map_err(|_| unfit())?;
    headers.insert(NATS_MESSAGE_ID, id);
    let published = PublishMessage::build().headers(headers);
    Ok((message.subject, published.payload(message.body.into())))
}

fn fault(error: PublishError) -> StreamFault {
    let cause = error.source();
    let cause = cause.and_then(|cause| cause.downcast_ref::<StreamError>());
    let code = cause.map(StreamError::error_code);
    let too_large = [
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM,
        ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM,
    ];
    let is_refused = error.kind() == PublishErrorKind::MaxPayloadExceeded
        || code.is_some_and(|code| too_large.contains(&code));
    match is_refused {
        true => StreamFault::Refused(error.to_string()),
        false => StreamFault::NotStored(error.to_string()),
    }
}
