//! Connections to NATS JetStream.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue, NATS_MESSAGE_ID};
use async_nats::jetstream::context::{
    ContextBuilder, PublishAckFuture, PublishError, PublishErrorKind,
};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Context, Error as StreamError, ErrorCode};
use async_nats::{ConnectOptions, ServerAddr};
use outbound::{
    Connecting, OnBehalf, OutboundFault, PublishFault, Publishing, StreamConnection, StreamFault,
    StreamLogin, StreamMessage, StreamServer, Streams,
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
/// Most bytes of a text that may come from a server: it is logged, stored and shown.
const MAX_TEXT: usize = 500;

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

    /// The addresses of a server that may be connected to. A server can take memory of this one,
    /// so those of tenants must be listed.
    async fn addresses(&self, server: &StreamServer) -> Result<Vec<SocketAddr>, OutboundFault> {
        let found = match server.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, server.port)],
            Err(_) => {
                let found = lookup_host((server.host.as_str(), server.port)).await;
                found.map_err(|error| unreachable(&error))?.collect()
            }
        };
        let is_free = server.on_behalf == OnBehalf::Owner && !self.guards_owner;
        let admits = |found: &SocketAddr| is_free || self.guard.lists(found.ip());
        let admitted: Vec<_> = found.into_iter().filter(admits).collect();
        match admitted.is_empty() {
            true => Err(OutboundFault::NotListed),
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
    OutboundFault::Unreachable(shorten(error.to_string()))
}

fn shorten(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}

struct Connection(Context);

impl Connection {
    async fn send(&self, message: StreamMessage) -> Result<PublishAckFuture, StreamFault> {
        let (subject, message) = encode(message)?;
        self.0.send_publish(subject, message).await.map_err(fault)
    }
}

impl StreamConnection for Connection {
    fn publish(&self, messages: Vec<StreamMessage>) -> Publishing<'_> {
        Box::pin(async move {
            let mut sent = Vec::with_capacity(messages.len());
            let mut unsent = None;
            for message in messages {
                match self.send(message).await {
                    Ok(acknowledgement) => sent.push(acknowledgement),
                    Err(fault) => {
                        unsent = Some(fault);
                        break;
                    }
                }
            }
            let mut acknowledged = 0;
            for acknowledgement in sent {
                acknowledgement.await.map_err(|error| PublishFault {
                    acknowledged,
                    fault: fault(error),
                })?;
                acknowledged += 1;
            }
            unsent.map_or(Ok(()), |fault| {
                Err(PublishFault {
                    acknowledged,
                    fault,
                })
            })
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
    let text = shorten(error.to_string());
    match is_refused {
        true => StreamFault::Refused(text),
        false => StreamFault::NotStored(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Guard;
    use super::*;

    #[test]
    fn a_text_of_a_server_is_cut_between_characters() {
        assert_eq!(shorten("short".to_owned()), "short");
        assert_eq!(shorten("é".repeat(400)), "é".repeat(250));
        assert_eq!(shorten(format!("x{}", "é".repeat(400))).len(), 499);
    }

    #[tokio::test]
    async fn a_server_of_a_tenant_is_connected_to_where_the_owner_lists_it() {
        let client = |networks: &[&str], guards_owner| {
            let networks = networks.iter().map(|text| text.parse().unwrap());
            OutboundClient::new(None, Guard::new(networks.collect()), guards_owner).unwrap()
        };
        let (usual, strict) = (client(&[], false), client(&[], true));
        let listed = client(&["127.0.0.0/8"], false);
        // Nothing listens on port 1.
        for (client, on_behalf, host, is_refused) in [
            (&usual, OnBehalf::Owner, "127.0.0.1", false),
            (&strict, OnBehalf::Owner, "127.0.0.1", true),
            (&usual, OnBehalf::Tenant, "127.0.0.1", true),
            (&usual, OnBehalf::Tenant, "203.0.113.7", true),
            (&listed, OnBehalf::Tenant, "203.0.113.7", true),
            (&listed, OnBehalf::Tenant, "127.0.0.1", false),
        ] {
            let server = StreamServer {
                on_behalf,
                host: host.to_owned(),
                port: 1,
                is_tls: false,
                login: StreamLogin::Anonymous,
            };
            let fault = client.connect(server).await.err();
            let refused = fault == Some(OutboundFault::NotListed);
            assert_eq!(refused, is_refused, "{on_behalf:?} {host}: {fault:?}");
        }
    }
}
