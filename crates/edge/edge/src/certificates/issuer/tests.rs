//! An EST server that refuses what the device has got.

use std::sync::Mutex;

use device::Identity;
use ids::HubHost;
use pki::{KeyType, PrivateKey, Profile, Subject, make_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);

/// A server that answers one request a connection. Its answers, and how many requests it got.
#[derive(Debug, Clone)]
struct Server {
    host: HubHost,
    requests: Arc<Mutex<usize>>,
}

impl Server {
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(0));
        let counted = requests.clone();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                *counted.lock().unwrap() += 1;
                let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self {
            host: HubHost::parse(&host).unwrap(),
            requests,
        }
    }

    /// Renews at this server; the error, and how many requests the server got.
    async fn renew(&self) -> (EstError, usize) {
        let signer = Signer::from(PrivateKey::generate(KeyType::Ec).unwrap());
        let wanted = Wanted {
            id: "device-id".to_owned(),
            profile: Profile::EdgeIdentity,
            subject: Subject::common_name("d").unwrap(),
            key_type: KeyType::Ec,
            issuer: String::new(),
            renewal: None,
            bootstrap: None,
        };
        let csr = make_request(&wanted.profile, &wanted.subject, &signer).unwrap();
        let mut request = Request {
            wanted: &wanted,
            csr: &csr,
            key: &signer,
            current: None,
            now: START,
        };
        let current = by_itself(USUAL_LIFETIME, &request).unwrap();
        request.current = Some(Identity::new(&current, &signer).unwrap());
        let issuer = CertificateIssuer::Est(Box::new(EstIssuer {
            server: EstServer::new(false, self.host.clone(), "/.well-known/est"),
            trust: Trust::only(&current).unwrap(),
            password: Some(EstPassword {
                username: "d".to_owned(),
                password: "once".to_owned(),
            }),
            client: EstClientCertificate::Own,
        }));
        let error = issuer.issue(&request).await.unwrap_err();
        let IssuanceError::Est(error) = error else {
            panic!("another error: {error:?}")
        };
        (error, *self.requests.lock().unwrap())
    }
}

/// A password may be good for a few certificates only.
#[tokio::test]
async fn a_busy_server_is_left_alone_and_gets_no_first_credential() {
    for answers in [
        &["429 x\r\nretry-after: 77", "403 x"],
        &["503 x\r\nretry-after: 77", "403 x"],
    ] {
        let (error, requests) = Server::start(answers).await.renew().await;
        assert_eq!(requests, 1);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(77)));
    }
}

#[tokio::test]
async fn the_refusal_of_the_renewal_is_the_error_when_nothing_else_works() {
    let (error, requests) = Server::start(&["403 x", "401 x"]).await.renew().await;
    assert_eq!(requests, 2);
    assert!(
        matches!(error, EstError::Refused { status: 403, .. }),
        "{error:?}"
    );
    let busy = &["401 x", "503 x\r\nretry-after: 77"];
    let (error, requests) = Server::start(busy).await.renew().await;
    assert_eq!(requests, 2);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(77)));
}
