use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::{KeyStore as _, Settings};

const OWNER: u32 = 4_000;
const STRANGER: u32 = 4_001;

fn api(dir: &Path) -> Api {
    let keys = Keys::in_folder(&dir.join("keys"), Settings::default());
    let principals = Principals::new(&dir.join("config.d"), &[OWNER]);
    Api::new(Arc::new(keys.unwrap()), principals)
}

fn ask(api: &Api, method: &str, path: &str, body: &Value) -> Result<Value, ApiError> {
    ask_as(api, OWNER, method, path, body)
}

fn ask_as(api: &Api, uid: u32, method: &str, path: &str, body: &Value) -> Result<Value, ApiError> {
    let path: Vec<&str> = path.split('/').collect();
    let answer = api.answer(method, &path, body.to_string().as_bytes(), uid);
    answer.map(Option::unwrap_or_default)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// The requests are those of Azure's client.
#[test]
fn a_key_pair_is_made_described_and_signs() {
    let dir = tempfile::tempdir().unwrap();
    let api = api(dir.path());
    let made = json!({"keyId": "est-id", "preferredAlgorithms": "ed448:ec-p256:rsa-4096:*"});
    let handle = text(&ask(&api, "POST", "keypair", &made).unwrap(), "keyHandle");
    let loaded = ask(&api, "GET", "keypair/est-id", &Value::Null).unwrap();
    assert_ne!(text(&loaded, "keyHandle"), handle, "handles have nonces");
    let parameter = |name: &str| {
        let body = json!({"keyHandle": handle});
        let answer = ask(&api, "POST", &format!("parameters/{name}"), &body);
        answer.map(|answer| text(&answer, "value"))
    };
    assert_eq!(parameter("algorithm").unwrap(), "ECDSA");
    assert_eq!(parameter("ec-curve-oid").unwrap(), "KoZIzj0DAQc=");
    let point = STANDARD.decode(parameter("ec-point").unwrap()).unwrap();
    assert_eq!((point.len(), point[0]), (65, 4));
    assert_eq!(parameter("rsa-modulus").unwrap_err().status(), 400);
    let sign = |digest: &[u8]| {
        let parameters = json!({"digest": STANDARD.encode(digest)});
        let body = json!({"keyHandle": handle, "algorithm": "ECDSA", "parameters": parameters});
        ask(&api, "POST", "sign", &body)
    };
    let signature = STANDARD.decode(text(&sign(&[3; 32]).unwrap(), "signature"));
    assert_eq!(signature.unwrap()[0], 0x30);
    assert_eq!(sign(&[3; 20]).unwrap_err().status(), 400);
    let gone = ask(&api, "DELETE", "keypair", &json!({"keyHandle": handle})).unwrap();
    assert_eq!(gone, Value::Null);
    let error = ask(&api, "GET", "keypair/est-id", &Value::Null).unwrap_err();
    assert_eq!(error.status(), 404);
    assert_eq!(
        error.body().message,
        "there is no key est-id on this device"
    );
}

#[test]
fn an_rsa_key_signs_a_digest_info_by_the_private_operation() {
    let dir = tempfile::tempdir().unwrap();
    let api = api(dir.path());
    let made = json!({"keyId": "r", "preferredAlgorithms": "rsa-2048:*"});
    let handle = text(&ask(&api, "POST", "keypair", &made).unwrap(), "keyHandle");
    let value = |name: &str| {
        let body = json!({"keyHandle": handle});
        text(
            &ask(&api, "POST", &format!("parameters/{name}"), &body).unwrap(),
            "value",
        )
    };
    assert_eq!(value("algorithm"), "RSA");
    assert_eq!(value("rsa-exponent"), "AQAB");
    assert_eq!(STANDARD.decode(value("rsa-modulus")).unwrap().len(), 256);
    let encrypt = |algorithm: &str, block: &[u8]| {
        let plaintext = STANDARD.encode(block);
        let body = json!({"keyHandle": handle, "algorithm": algorithm, "plaintext": plaintext});
        ask(&api, "POST", "encrypt", &body)
    };
    let digest = pki::SignatureScheme::RsaPkcs1(pki::RsaHash::Sha256)
        .digest(b"x")
        .unwrap();
    let info = [
        0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
    ];
    let block = [info.as_slice(), &digest].concat();
    let signature = encrypt("RSA-PKCS1", &block).unwrap();
    let signature = STANDARD.decode(text(&signature, "ciphertext")).unwrap();
    let pair = api.keys.pair(&crate::KeyId::parse("r").unwrap()).unwrap();
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
        pair.signer.public_key().bits(),
    );
    public.verify(b"x", &signature).unwrap();
    assert_eq!(encrypt("RSA-PKCS1", b"anything").unwrap_err().status(), 400);
    let refused = encrypt("RSA-NO-PADDING", &[1; 256]).unwrap_err();
    assert!(refused.body().message.contains("/muster/sign"));
}

#[test]
fn derived_keys_sign_and_are_exported_and_never_derive() {
    let dir = tempfile::tempdir().unwrap();
    let api = api(dir.path());
    let key =
        json!({"keyId": "master", "usage": "derive,sign", "keyBytes": STANDARD.encode([1; 32])});
    let base = text(&ask(&api, "POST", "key", &key).unwrap(), "keyHandle");
    let derive = |from: &str| {
        let data = STANDARD.encode("m:1:primary");
        let body = json!({"baseKeyHandle": from, "derivationData": data});
        ask(&api, "POST", "derivedkey", &body)
    };
    let derived = text(&derive(&base).unwrap(), "keyHandle");
    assert_eq!(derive(&derived).unwrap_err().status(), 400);
    let export = |handle: &str| {
        ask(
            &api,
            "POST",
            "derivedkey/export",
            &json!({"keyHandle": handle}),
        )
    };
    assert_eq!(
        export(&base).unwrap_err().status(),
        400,
        "a kept key never leaves"
    );
    let exported = STANDARD
        .decode(text(&export(&derived).unwrap(), "key"))
        .unwrap();
    let expected = crate::secrets::hmac_sha256(&[1; 32], b"m:1:primary");
    assert_eq!(exported, *expected);
    let parameters = json!({"message": STANDARD.encode("x")});
    let body = json!({
        "keyHandle": derived, "algorithm": "HMAC-SHA256", "parameters": parameters,
    });
    let signature = text(&ask(&api, "POST", "sign", &body).unwrap(), "signature");
    let wanted = crate::secrets::hmac_sha256(&exported, b"x");
    assert_eq!(STANDARD.decode(signature).unwrap(), *wanted);
}

#[test]
fn a_user_without_a_right_gets_nothing_even_with_a_handle() {
    let dir = tempfile::tempdir().unwrap();
    let api = api(dir.path());
    let body = json!({"keyId": "line-1"});
    assert_eq!(
        ask_as(&api, STRANGER, "POST", "key", &body)
            .unwrap_err()
            .status(),
        401
    );
    let handle = text(&ask(&api, "POST", "key", &body).unwrap(), "keyHandle");
    let sign = json!({
        "keyHandle": handle, "algorithm": "HMAC-SHA256", "parameters": {"message": "eA=="},
    });
    let refused = ask_as(&api, STRANGER, "POST", "sign", &sign).unwrap_err();
    assert_eq!(refused.status(), 401);
    assert!(refused.to_string().contains("4001"), "{refused}");
    std::fs::create_dir(dir.path().join("config.d")).unwrap();
    let file = dir.path().join("config.d/10.toml");
    std::fs::write(file, "[[principal]]\nuid = 4001\nkeys = [\"line-*\"]\n").unwrap();
    ask_as(&api, STRANGER, "POST", "sign", &sign).unwrap();
    for (method, path) in [("GET", "muster/token"), ("GET", "key/device-id")] {
        let refused = ask_as(&api, STRANGER, method, path, &Value::Null).unwrap_err();
        assert_eq!(refused.status(), 401, "{path}");
    }
    // Not even its owner gets the key that signs handles.
    let refused = ask(&api, "GET", "key/handle-validation-key", &Value::Null).unwrap_err();
    assert_eq!(refused.status(), 401);
}

#[test]
fn handles_outlive_the_role_and_cannot_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let first = api(dir.path());
    let made = ask(&first, "POST", "key", &json!({"keyId": "k"})).unwrap();
    let handle = text(&made, "keyHandle");
    let again = api(dir.path());
    let describe = |handle: &str| ask(&again, "POST", "muster/key", &json!({"keyHandle": handle}));
    assert_eq!(text(&describe(&handle).unwrap(), "fingerprint").len(), 16);
    let (text, tag) = handle
        .strip_prefix("sr=")
        .unwrap()
        .split_once("&sig=")
        .unwrap();
    let inside = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
    let other = STANDARD.encode(inside.replace("\"k\"", "\"device-id\""));
    for forged in [
        format!("sr={other}&sig={tag}"),
        format!("sr={text}&sig="),
        format!("sr={text}"),
        String::new(),
        "sr=&sig=".to_owned(),
        "x".repeat(10_000),
    ] {
        assert_eq!(describe(&forged).unwrap_err().status(), 400, "{forged:.60}");
    }
}

#[test]
fn refusals_have_azures_status_codes() {
    let dir = tempfile::tempdir().unwrap();
    let api = api(dir.path());
    let status = |method: &str, path: &str, body: &[u8]| {
        let path: Vec<&str> = path.split('/').collect();
        let refused = api.answer(method, &path, body, OWNER).unwrap_err();
        (refused.status(), refused.body().message)
    };
    assert_eq!(status("GET", "nowhere", b""), (404, "not found".to_owned()));
    assert_eq!(status("PUT", "keypair", b"").0, 400);
    assert_eq!(status("POST", "keypair", b"{").0, 422);
    assert_eq!(status("POST", "keypair", b"{}").0, 422);
    assert_eq!(status("POST", "keypair", b"{\"keyId\": \"\"}").0, 400);
    let unknown = b"{\"keyId\": \"x\", \"preferredAlgorithms\": \"dsa\"}";
    assert_eq!(status("POST", "keypair", unknown).0, 400);
    assert_eq!(
        status("POST", "key", b"{\"keyId\": \"x\", \"usage\": \"wrap\"}").0,
        400
    );
    assert_eq!(
        status("POST", "key", b"{\"keyId\": \"x\", \"keyBytes\": \"?\"}").0,
        400
    );
    assert_eq!(status("GET", "key/x", b"").0, 404);
}
