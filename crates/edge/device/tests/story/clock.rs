//! A device whose clock is wrong, and servers with another name.

use std::sync::{Arc, Mutex};

use device::est::{EstClient, EstCredential, EstServer};
use device::{
    Clock, ConnectError, Credential, HttpsClient, HttpsError, KeySigner, ServerTimeError,
    TokenSource, server_time,
};
use hyper::Method;
use ids::{DeviceId, HubHost, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wire::sas::SharedAccessKey;

use crate::server::{HttpsServer, TestCa};

const DATE: &str = "Fri, 01 Jan 2027 10:00:00 GMT";

/// A clock that stands still, and what it was told.
#[derive(Debug)]
struct Stopped {
    at: Timestamp,
    heard: Mutex<Vec<Timestamp>>,
}

impl Stopped {
    fn at(seconds: i64) -> Arc<Self> {
        Arc::new(Self {
            at: Timestamp::from_unix_seconds(seconds),
            heard: Mutex::default(),
        })
    }
}

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.at
    }

    fn hear(&self, server: Timestamp) {
        self.heard.lock().unwrap().push(server);
    }
}

fn key_signer() -> Arc<dyn KeySigner> {
    Arc::new(SharedAccessKey::from_bytes(vec![7; 32]).unwrap())
}

async fn get(client: &HttpsClient) -> Result<u16, HttpsError> {
    let answer = client.send(Method::GET, "/", None, None).await;
    answer.map(|answer| answer.status)
}

#[tokio::test]
async fn a_clock_in_1970_is_told_the_time_by_a_server_that_it_cannot_verify_by_time() {
    let ca = TestCa::new();
    let said = (200, &[("date", DATE)][..], String::new());
    let server = HttpsServer::start(&ca, vec![said.clone(), said]).await;
    // The test's certificates are valid from 1975.
    let early = Stopped::at(0);
    let trust = ca.trust().by_clock(early.clone());
    let credential = Credential::Certificate(ca.identity("d1"));
    let client = HttpsClient::new(server.host.clone(), &trust, &credential);
    let refused = get(&client).await.unwrap_err();
    let HttpsError::Connect(ConnectError::NotValidNow { .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(*early.heard.lock().unwrap(), []);
    let time = server_time(&server.host, &trust).await.unwrap();
    assert_eq!(time.to_http_date(), DATE);
    let seen = server.seen();
    assert!(seen[0].client.is_none() && seen[0].authorization.is_none());
    // By the right time the same server is verified, and says what time it is.
    let right = Stopped::at(time.unix_seconds());
    let trust = ca.trust().by_clock(right.clone());
    let client = HttpsClient::new(server.host.clone(), &trust, &credential);
    assert_eq!(get(&client).await.unwrap(), 200);
    assert_eq!(*right.heard.lock().unwrap(), [time]);
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_valid_when_it_says_is_not_believed() {
    let ca = TestCa::new();
    let past = (
        200,
        &[("date", "Thu, 01 Jan 1970 10:00:00 GMT")][..],
        String::new(),
    );
    let server = HttpsServer::start(&ca, vec![past]).await;
    let error = server_time(&server.host, &ca.trust()).await.unwrap_err();
    assert!(
        matches!(error, ServerTimeError::Contradiction { .. }),
        "{error:?}"
    );
    let other = TestCa::named("another root").trust();
    let error = server_time(&server.host, &other).await.unwrap_err();
    assert!(
        matches!(error, ServerTimeError::Connection { .. }),
        "{error:?}"
    );
}

/// Anybody on the way may have written the answer.
#[tokio::test]
async fn the_time_of_a_server_without_tls_is_not_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/.well-known/est", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let answer = format!("HTTP/1.1 404 Not Found\r\ndate: {DATE}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let clock = Stopped::at(1_780_272_000);
    let trust = TestCa::new().trust().by_clock(clock.clone());
    let server = EstServer::parse(&url).unwrap();
    let client = EstClient::new(server, &trust, &EstCredential::default());
    let (_stream, answered) = tokio::join!(serve, client.ca_certificates());
    let refused = answered.unwrap_err().to_string();
    assert!(refused.contains("404"), "the answer was read: {refused}");
    assert_eq!(*clock.heard.lock().unwrap(), []);
}

#[tokio::test]
async fn a_trusted_server_with_another_name_is_told_apart_from_an_untrusted_one() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, Vec::new()).await;
    let renamed = server.host.as_str().replace("127.0.0.1", "localhost");
    let credential = Credential::Certificate(ca.identity("d1"));
    let renamed = HubHost::parse(&renamed).unwrap();
    let client = HttpsClient::new(renamed.clone(), &ca.trust(), &credential);
    let error = get(&client).await.unwrap_err();
    assert!(
        matches!(error, HttpsError::Connect(ConnectError::OtherName { .. })),
        "{error:?}"
    );
    let stranger = TestCa::named("another root").trust();
    let client = HttpsClient::new(renamed, &stranger, &credential);
    let error = get(&client).await.unwrap_err();
    assert!(
        matches!(error, HttpsError::Connect(ConnectError::Untrusted { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_client_lives_longer_than_its_tokens() {
    let ca = TestCa::new();
    let ok = || (200, &[][..], String::new());
    let server = HttpsServer::start(&ca, vec![ok(), ok(), ok()]).await;
    let time = Arc::new(Mutex::new(1_800_000_000));
    let reading = time.clone();
    let now = move || Timestamp::from_unix_seconds(*reading.lock().unwrap());
    let device = DeviceId::parse("d1").unwrap();
    let tokens = TokenSource::for_hub(&server.host, &device, key_signer(), Arc::new(now));
    let credential = Credential::Tokens(tokens);
    let client = HttpsClient::new(server.host.clone(), &ca.trust(), &credential);
    for later in [0, 600, 3600] {
        *time.lock().unwrap() = 1_800_000_000 + later;
        assert_eq!(get(&client).await.unwrap(), 200);
    }
    let seen = server.seen();
    assert_eq!(seen[0].authorization, seen[1].authorization);
    assert_ne!(seen[0].authorization, seen[2].authorization);
    let token = seen[2].authorization.clone().unwrap();
    assert!(token.contains("&se=1800007200"), "{token}");
}
