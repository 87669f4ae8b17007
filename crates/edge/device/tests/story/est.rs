use std::time::Duration;

use device::Trust;
use device::est::{EstClient, EstCredential, EstError, EstPassword, EstServer};
use ids::Timestamp;
use pki::{
    Certificate, Issuer, KeyType, PrivateKey, Profile, Serial, Signer, Subject, Validity,
    certs_only, make_request, prepare,
};

use crate::server::{HttpsServer, Scripted, TestCa};

const HOUR: Duration = Duration::from_secs(3600);
const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);

/// A device with a key, and an issuer that has made a certificate for it.
struct World {
    ca: TestCa,
    key: PrivateKey,
    leaf: Certificate,
    issuer: Certificate,
    request: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let ca_key = PrivateKey::generate(KeyType::Ec).unwrap();
        let root = Profile::Root { path_length: 0 };
        let issuer = made(root, "fleet", None, &ca_key);
        let by = Issuer::new(issuer.clone(), ca_key).unwrap();
        let key = PrivateKey::generate(KeyType::Ec).unwrap();
        let subject = Subject::common_name("press-7").unwrap();
        Self {
            ca: TestCa::new(),
            leaf: made(Profile::EdgeIdentity, "press-7", Some(&by), &key),
            request: make_request(&Profile::EdgeIdentity, &subject, &key).unwrap(),
            key,
            issuer,
        }
    }

    async fn serve(&self, script: Vec<Scripted>) -> HttpsServer {
        HttpsServer::start(&self.ca, script).await
    }

    fn client(&self, server: &HttpsServer, credential: &EstCredential) -> EstClient {
        let url = format!("https://{}/.well-known/est/fleet", server.host);
        EstClient::new(EstServer::parse(&url).unwrap(), &self.trust(), credential)
    }

    fn trust(&self) -> Trust {
        self.ca.trust()
    }

    async fn enroll(
        &self,
        server: &HttpsServer,
        renews: bool,
    ) -> Result<Vec<Certificate>, EstError> {
        let credential = EstCredential {
            identity: Some(self.ca.identity("press-7")),
            password: Some(EstPassword {
                username: "line-1".to_owned(),
                password: "se:cret".to_owned(),
            }),
        };
        let signer: &Signer = self.key.as_ref();
        let client = self.client(server, &credential);
        client
            .enroll(&self.request, signer.public_key(), renews)
            .await
    }
}

fn made(profile: Profile, name: &str, issuer: Option<&Issuer>, key: &PrivateKey) -> Certificate {
    let subject = Subject::common_name(name).unwrap();
    let serial = Serial::random().unwrap();
    let prepared = prepare(profile, &subject, issuer, Validity::UpTo(HOUR), serial, NOW);
    prepared.unwrap().lint().unwrap().sign(key).unwrap()
}

fn certificates(all: &[&Certificate]) -> Scripted {
    let kind = &[(
        "Content-Type",
        "application/pkcs7-mime; smime-type=certs-only",
    )];
    (200, kind, wire::est::encode(&certs_only(all)))
}

fn refusal(status: u16) -> Scripted {
    (status, &[("Retry-After", "90")], "not today".to_owned())
}

#[tokio::test]
async fn a_device_enrolls_with_what_it_has_and_gets_a_chain() {
    let world = World::new();
    let script = vec![certificates(&[&world.issuer]), certificates(&[&world.leaf])];
    let server = world.serve(script).await;
    let chain = world.enroll(&server, false).await.unwrap();
    assert_eq!(chain, [world.leaf.clone(), world.issuer.clone()]);
    let seen = server.seen();
    let lines: Vec<&str> = seen.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /.well-known/est/fleet/cacerts",
            "POST /.well-known/est/fleet/simpleenroll",
        ]
    );
    assert_eq!(seen[1].client.as_deref(), Some("press-7"));
    assert_eq!(
        seen[1].authorization.as_deref(),
        Some("Basic bGluZS0xOnNlOmNyZXQ=")
    );
    let sent = wire::est::decode(seen[1].body.as_bytes())
        .unwrap()
        .into_owned();
    assert_eq!(sent, world.request);
}

#[tokio::test]
async fn a_renewal_is_simplereenroll_and_falls_back_where_there_is_none() {
    let world = World::new();
    let (above, issued) = (certificates(&[&world.issuer]), certificates(&[&world.leaf]));
    let server = world.serve(vec![above.clone(), issued.clone()]).await;
    assert_eq!(world.enroll(&server, true).await.unwrap().len(), 2);
    assert!(server.seen()[1].line.ends_with("/simplereenroll"));
    let server = world.serve(vec![above, refusal(404), issued]).await;
    assert_eq!(world.enroll(&server, true).await.unwrap().len(), 2);
    assert!(server.seen()[2].line.ends_with("/simpleenroll"));
}

#[tokio::test]
async fn what_a_server_refuses_is_told_apart() {
    let world = World::new();
    let above = || certificates(&[&world.issuer]);
    for (answer, transient, pause, words) in [
        (refusal(202), true, Some(90), "somebody has to approve it"),
        (
            refusal(401),
            false,
            None,
            "client certificate and password with 401: not today",
        ),
        (
            refusal(403),
            false,
            Some(90),
            "refused simpleenroll with 403: not today",
        ),
        (refusal(429), true, Some(90), "429"),
        (refusal(503), true, Some(90), "503"),
        (
            certificates(&[&world.issuer]),
            false,
            None,
            "cannot be read",
        ),
        (
            (200, &[], "<html>".to_owned()),
            false,
            None,
            "(Content-Type not given)",
        ),
    ] {
        let server = world.serve(vec![above(), answer]).await;
        let error = world.enroll(&server, false).await.unwrap_err();
        let seconds = error.retry_after().map(|pause| pause.as_secs());
        assert_eq!(
            (error.is_transient(), seconds),
            (transient, pause),
            "{error}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
    let nowhere = world.serve(vec![refusal(503)]).await;
    assert!(
        world
            .enroll(&nowhere, false)
            .await
            .unwrap_err()
            .is_transient()
    );
    assert_eq!(
        nowhere.seen().len(),
        1,
        "nothing is requested without the chain"
    );
}
