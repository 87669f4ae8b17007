//! Requests to the process that holds a device's keys. The first byte chooses the request; handles
//! of keys that exist stand in the body as PAIR, SECRET and DERIVED.
#![no_main]

use std::sync::{Arc, LazyLock};

use keys::{Api, Keys, Principals, Settings};
use libfuzzer_sys::fuzz_target;

const USER: u32 = 1000;
const IMPORTED: &str = "dHVsaXAtdHVsaXAtdHVsaXAtdHVsaXA=";
const REQUESTS: [(&str, &[&str]); 14] = [
    ("POST", &["keypair"]),
    ("POST", &["keypair", "moved"]),
    ("DELETE", &["keypair"]),
    ("POST", &["parameters", "ec-point"]),
    ("POST", &["key"]),
    ("DELETE", &["key"]),
    ("POST", &["derivedkey"]),
    ("POST", &["derivedkey", "export"]),
    ("POST", &["sign"]),
    ("POST", &["encrypt"]),
    ("POST", &["decrypt"]),
    ("POST", &["muster", "keypair"]),
    ("POST", &["muster", "key"]),
    ("POST", &["muster", "sign"]),
];

struct World {
    _folder: tempfile::TempDir,
    api: Api,
    pair: String,
    secret: String,
    derived: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the keys");
    let keys = Keys::in_folder(&folder.path().join("keys"), Settings::default());
    let keys = Arc::new(keys.expect("the folder is private"));
    let api = Api::new(keys, Principals::new(folder.path(), &[USER]));
    let handle = |path: &[&str], body: String| {
        let answer = api.answer("POST", path, body.as_bytes(), USER);
        let answer = answer.expect("it is made").expect("it has a handle");
        answer["keyHandle"].as_str().expect("a text").to_owned()
    };
    let pair = handle(&["keypair"], r#"{"keyId":"pair"}"#.to_owned());
    let secret = format!(r#"{{"keyId":"secret","keyBytes":"{IMPORTED}"}}"#);
    let secret = handle(&["key"], secret);
    let derived = format!(r#"{{"baseKeyHandle":"{secret}","derivationData":"YQ=="}}"#);
    let derived = handle(&["derivedkey"], derived);
    World {
        _folder: folder,
        api,
        pair,
        secret,
        derived,
    }
});

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else {
        return;
    };
    let (method, path) = REQUESTS[usize::from(*choice) % REQUESTS.len()];
    let text = String::from_utf8_lossy(body);
    // An RSA key takes a second to make.
    if text.contains("rsa") && path[0] == "keypair" {
        return;
    }
    let world = &*WORLD;
    let text = text
        .replace("PAIR", &world.pair)
        .replace("SECRET", &world.secret)
        .replace("DERIVED", &world.derived);
    let answer = match world.api.answer(method, path, text.as_bytes(), USER) {
        Ok(answer) => answer.unwrap_or_default().to_string(),
        Err(refused) => {
            assert!((400..600).contains(&refused.status()));
            assert!(!refused.to_string().is_empty());
            refused.to_string()
        }
    };
    assert!(!answer.contains(IMPORTED) && !answer.contains("PRIVATE KEY"));
    // Nobody else gets anything.
    let other = world.api.answer(method, path, text.as_bytes(), USER + 1);
    assert!(other.is_err());
});
