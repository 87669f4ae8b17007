use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;

use pki::{PrivateKey, Profile, Serial, SignatureScheme, Signer, Subject, Validity, prepare};

use super::*;
use crate::{Api, Keys, Principals, Settings};

/// Serves the API on a socket, a connection after another, as the role does with more comfort.
fn role(dir: &Path) -> Client {
    let keys = Keys::in_folder(&dir.join("keys"), Settings::default()).unwrap();
    let api = Api::new(Arc::new(keys), Principals::new(dir, &[1]));
    let socket = dir.join("keyd.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(&api, stream.unwrap());
        }
    });
    Client::at(&socket)
}

fn serve(api: &Api, mut stream: std::os::unix::net::UnixStream) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = wire::http::Path::parse(target.split('?').next().unwrap()).unwrap();
    let (status, text) = match api.answer(method, &path.segments(), &body, 1) {
        Ok(Some(answer)) => (200, answer.to_string()),
        Ok(None) => (204, String::new()),
        Err(error) => (
            error.status(),
            serde_json::to_string(&error.body()).unwrap(),
        ),
    };
    let length = text.len();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_key_of_the_role_makes_a_certificate_and_a_tls_key() {
    let dir = tempfile::tempdir().unwrap();
    let client = role(dir.path());
    assert_eq!(
        client.pair(&KeyId::device()).unwrap_err(),
        KeyError::NotFound(KeyId::device())
    );
    for (name, kind) in [
        ("aziot-edged/module/m:1:server", KeyType::Ec),
        ("r", KeyType::Rsa2048),
    ] {
        let id = KeyId::parse(name).unwrap();
        let pair = client.make_pair(&id, &[kind]).unwrap();
        let again = client.pair(&id).unwrap();
        assert_eq!(again.signer.public_key(), pair.signer.public_key());
        let printed = format!("{pair:?}");
        assert!(
            printed.contains(name) && !printed.contains("sr="),
            "{printed}"
        );
        for scheme in SignatureScheme::of_key(pair.signer.public_key().kind()) {
            let signature = pair.signer.sign(*scheme, b"message").unwrap();
            assert!(!signature.is_empty());
        }
        let now = ids::Timestamp::from_unix_seconds(1_800_000_000);
        let subject = Subject::common_name("d").unwrap();
        let validity = Validity::UpTo(Duration::from_secs(86_400));
        let serial = Serial::random().unwrap();
        let profile = Profile::Root { path_length: 0 };
        let prepared = prepare(profile, &subject, None, validity, serial, now).unwrap();
        let leaf = prepared.lint().unwrap().sign(&pair.signer).unwrap();
        pair.signer.certified(&leaf, &[]).unwrap();
        let other = Signer::from(PrivateKey::generate(KeyType::Ec).unwrap());
        assert!(other.certified(&leaf, &[]).is_err());
    }
}

#[test]
fn a_symmetric_key_of_the_role_signs_derives_and_encrypts() {
    let dir = tempfile::tempdir().unwrap();
    let client = role(dir.path());
    let key = client.make_secret(&KeyId::master()).unwrap();
    let inside = Keys::in_folder(&dir.path().join("keys"), Settings::default());
    let inside = inside.unwrap().secret(&KeyId::master()).unwrap();
    assert_eq!(key.fingerprint(), inside.fingerprint());
    assert_eq!(key.hmac(b"x"), inside.hmac(b"x"));
    assert_eq!(
        key.derived_hmac(b"d", b"x"),
        inside.derived_hmac(b"d", b"x")
    );
    assert_eq!(key.export(b"d"), inside.export(b"d"));
    let sealed = key.encrypt(b"iv", b"aad", b"text").unwrap();
    assert_eq!(
        inside.decrypt(b"iv", b"aad", &sealed).unwrap().as_slice(),
        b"text"
    );
    assert_eq!(
        key.decrypt(b"iv", b"aad", &sealed).unwrap().as_slice(),
        b"text"
    );
    let refused = key.decrypt(b"iv", b"other", &sealed).unwrap_err();
    assert!(matches!(refused, KeyError::Invalid(_)), "{refused}");
    let printed = format!("{key:?}");
    assert!(!printed.contains("sr="), "{printed}");

    // The folder of the role is exchanged: its handles are not known any more, its keys are.
    client
        .import_secret(&KeyId::encryption(), &[1; 32])
        .unwrap();
    let key = client.secret(&KeyId::encryption()).unwrap();
    let signed = key.hmac(b"x").unwrap();
    let handles = dir.path().join("keys").join(KeyId::handles().file_name());
    std::fs::remove_file(handles).unwrap();
    assert_eq!(key.hmac(b"x").unwrap(), signed);
    client.delete_secret(&KeyId::encryption()).unwrap();
    assert_eq!(
        key.hmac(b"x").unwrap_err(),
        KeyError::NotFound(KeyId::encryption())
    );
}

#[test]
fn a_role_that_is_not_there_or_hangs_is_an_error_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let absent = Client::at(&dir.path().join("none.sock"));
    let error = absent.pair(&KeyId::device()).unwrap_err().to_string();
    assert!(
        error.contains("does not answer: there is no socket at"),
        "{error}"
    );
    let socket = dir.path().join("hangs.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let within = Duration::from_millis(100);
    let hanging = Client::at(&socket);
    let error = hanging
        .send(Method::Get, "key/x", None::<&()>, within)
        .unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
}
