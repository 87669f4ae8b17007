//! Connections through a proxy, and uploads, which are made with no other credential than a URL.

use std::sync::{Arc, Mutex};

use device::{BlobContainer, BlobKind, Credential, HttpsClient, Proxies, Trust};
use hyper::Method;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{HttpsServer, Listener, Scripted, TestCa};

/// A proxy that connects clients with the right user name and password.
struct Proxy {
    url: String,
    connected: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let connected = Arc::<Mutex<Vec<String>>>::default();
        let noted = connected.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay(stream, noted.clone()));
            }
        });
        Self {
            url: format!("http://user:pass%20word@{place}"),
            connected,
        }
    }

    /// One that is itself reached by TLS.
    async fn start_secure(ca: &TestCa) -> Self {
        let listener = Listener::bind(ca).await;
        let url = format!("https://user:pass%20word@{}", listener.host());
        let connected = Arc::<Mutex<Vec<String>>>::default();
        let noted = connected.clone();
        tokio::spawn(async move {
            loop {
                tokio::spawn(relay(listener.accept().await, noted.clone()));
            }
        });
        Self { url, connected }
    }

    fn connected(&self) -> Vec<String> {
        self.connected.lock().unwrap().clone()
    }
}

async fn relay<S: AsyncRead + AsyncWrite + Unpin>(mut client: S, noted: Arc<Mutex<Vec<String>>>) {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        header.push(client.read_u8().await.unwrap());
    }
    let header = String::from_utf8(header).unwrap();
    let target = header.split(' ').nth(1).unwrap().to_owned();
    if !header.contains("Proxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n") {
        let refused = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        client.write_all(refused).await.unwrap();
        return;
    }
    let mut server = TcpStream::connect(&target).await.unwrap();
    noted.lock().unwrap().push(target);
    let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
    client.write_all(answer).await.unwrap();
    // The end of either side ends the test's part.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

fn through(ca: &TestCa, proxy: &str, no_proxy: &str) -> Trust {
    let proxies = Proxies::parse(Some(proxy), Some(no_proxy)).unwrap();
    ca.trust().through(proxies)
}

fn ok(times: usize) -> Vec<Scripted> {
    (0..times)
        .map(|_| (201, &[] as &[_], String::new()))
        .collect()
}

async fn ask(server: &HttpsServer, trust: &Trust) -> Result<u16, String> {
    let credential = Credential::Token("SharedAccessSignature sr=x&sig=y&se=1".into());
    let client = HttpsClient::new(server.host.clone(), trust, &credential);
    let answer = client.send(Method::GET, "/", None, None).await;
    answer
        .map(|answer| answer.status)
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn connections_go_through_the_proxy_unless_the_host_is_excepted() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, ok(3)).await;
    for proxy in [Proxy::start().await, Proxy::start_secure(&ca).await] {
        assert_eq!(ask(&server, &through(&ca, &proxy.url, "")).await, Ok(201));
        assert_eq!(proxy.connected(), [server.host.to_string()]);
    }
    let proxy = Proxy::start().await;
    assert_eq!(
        ask(&server, &through(&ca, &proxy.url, "127.0.0.0/8")).await,
        Ok(201)
    );
    assert_eq!(proxy.connected(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_the_password() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, ok(1)).await;
    let proxy = Proxy::start().await;
    let wrong = proxy.url.replace("pass%20word", "hunter2");
    let error = ask(&server, &through(&ca, &wrong, "")).await.unwrap_err();
    assert!(
        error.contains("does not accept the user name and password") && !error.contains("hunter2"),
        "{error}"
    );
    assert!(error.contains(wrong.rsplit('@').next().unwrap()), "{error}");
    assert_eq!(server.seen(), []);
}

const KIND: BlobKind = BlobKind {
    content_type: "text/plain",
    content_encoding: None,
};

#[tokio::test]
async fn a_small_blob_is_one_request_and_a_large_one_comes_in_blocks() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, ok(5)).await;
    let url = format!("https://{}/logs?sv=1&sig=s", server.host);
    let container = BlobContainer::new(&url, &ca.trust()).unwrap();
    let mut small = container.blob("hub/d/m.log", KIND);
    small.write(b"hello").await.unwrap();
    small.finish().await.unwrap();
    let mut large = container.blob("large", KIND);
    for _ in 0..5 {
        large.write(&[b'x'; 512 * 1024]).await.unwrap();
    }
    large.finish().await.unwrap();
    let seen = server.seen();
    let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
    assert_eq!(lines[0], "PUT /logs/hub/d/m.log?sv=1&sig=s");
    assert_eq!(seen[0].body, "hello");
    assert_eq!(lines.len(), 5);
    let sizes: Vec<usize> = seen[1..4].iter().map(|seen| seen.body.len()).collect();
    assert_eq!(sizes, [1 << 20, 1 << 20, 1 << 19]);
    assert_eq!(lines[4], "PUT /logs/large?comp=blocklist&sv=1&sig=s");
    assert_eq!(seen[4].body.matches("<Latest>").count(), 3);
    assert!(seen.iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn a_refused_upload_is_not_repeated_and_says_why() {
    let ca = TestCa::new();
    let script = vec![(403, &[] as &[_], "AuthenticationFailed".to_owned())];
    let server = HttpsServer::start(&ca, script).await;
    let url = format!("https://{}/logs?sig=hunter2", server.host);
    let container = BlobContainer::new(&url, &ca.trust()).unwrap();
    let error = container
        .blob("m", KIND)
        .finish()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("403") && error.contains("AuthenticationFailed"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(server.seen().len(), 1);
}
