use super::*;
use crate::sas::build;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const SKEW: Duration = Duration::from_secs(300);

fn key() -> SharedAccessKey {
    SharedAccessKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZg==").unwrap()
}

fn token_of(sent: &str, signed: &str, seconds: i64, tail: &str) -> String {
    let digest = key().sign(format!("{signed}\n{seconds}").as_bytes());
    let signature = percent_encode(&STANDARD.encode(digest));
    format!("SharedAccessSignature sr={sent}&sig={signature}&se={seconds}{tail}")
}

fn verify(token: &str, requested: &str) -> Result<VerifiedToken, SasError> {
    UnverifiedToken::parse(token)?.verify([&key()], requested, NOW, SKEW)
}

/// Computed with Python:
/// `hmac.new(b"0123456789abcdef", b"localhost%2Fdevices%2Fsym-1\n1700000600", "sha256")`.
#[test]
fn the_bytes_are_those_of_the_python_sdk() {
    let expiry = Timestamp::from_unix_seconds(1_700_000_600);
    assert_eq!(
        build("localhost/devices/sym-1", None, expiry, &key()),
        "SharedAccessSignature sr=localhost%2Fdevices%2Fsym-1\
         &sig=KaS1EKT7%2ByyFxPZ%2BUexUzk%2BxXsO4scT6GS8Cki1omgo%3D&se=1700000600"
    );
}

#[test]
fn a_built_token_verifies_and_proves_its_policy() {
    let token = build("hub.example", Some("iothubowner"), NOW.plus(SKEW), &key());
    let proof = verify(&token, "hub.example/devices/d").unwrap();
    assert_eq!(proof.policy(), Some("iothubowner"));
    assert_eq!(proof.resource(), "hub.example");
    assert_eq!(proof.expiry(), NOW.plus(SKEW));
}

#[test]
fn every_real_spelling_of_the_resource_verifies() {
    let soon = NOW.unix_seconds() + 30;
    for (sent, signed) in [
        // Python and az; aziot; docs' samples; senders that sign another spelling than they send.
        (
            "0ne1%2Fregistrations%2FDev-1",
            "0ne1%2Fregistrations%2FDev-1",
        ),
        ("0ne1/registrations/dev-1", "0ne1/registrations/dev-1"),
        (
            "0ne1%2fregistrations%2fDev-1",
            "0ne1%2fregistrations%2fDev-1",
        ),
        ("0ne1/registrations/Dev-1", "0ne1%2Fregistrations%2FDev-1"),
        ("0ne1/registrations/Dev-1", "0ne1%2fregistrations%2fDev-1"),
    ] {
        let token = token_of(sent, signed, soon, "&skn=registration");
        let proof = verify(&token, "0ne1/registrations/Dev-1").unwrap();
        assert_eq!(proof.policy(), None);
    }
}

#[test]
fn fields_come_in_any_order() {
    let token = token_of("h", "h", NOW.unix_seconds() + 30, "");
    let (head, tail) = token.split_once(' ').unwrap();
    let mut fields: Vec<&str> = tail.split('&').collect();
    fields.reverse();
    let token = format!("{head} {}&extra=1", fields.join("&"));
    assert!(verify(&token, "h/devices/d").is_ok());
}

#[test]
fn a_scope_contains_whole_segments_only() {
    let soon = NOW.unix_seconds() + 30;
    for (sent, requested, contained) in [
        ("HUB.example:8443", "hub.example/devices/d", true),
        (
            "hub.example/devices/D1",
            "hub.example:8443/devices/d1",
            true,
        ),
        (
            "hub.example/devices/d1",
            "hub.example/devices/d1/modules/m",
            true,
        ),
        ("hub.example/devices/d1/", "hub.example/devices/d1", true),
        ("hub.example/devices/d", "hub.example/devices/d1", false),
        (
            "hub.example/devices/d1/modules/m",
            "hub.example/devices/d1",
            false,
        ),
        ("hub", "hub.example/devices/d1", false),
        ("", "hub.example", false),
    ] {
        let result = verify(&token_of(sent, sent, soon, ""), requested);
        assert_eq!(result.is_ok(), contained, "{sent} {requested}: {result:?}");
    }
}

#[test]
fn the_case_of_an_id_counts_under_a_policy_only() {
    let soon = NOW.unix_seconds() + 30;
    for (sent, requested, contained) in [
        (
            "HUB.example/DEVICES/Press1",
            "hub.example/devices/Press1",
            true,
        ),
        (
            "hub.example/devices/Press1",
            "hub.example/devices/press1",
            false,
        ),
        (
            "hub.example/devices/d/MODULES/M",
            "hub.example/devices/d/modules/M",
            true,
        ),
        (
            "hub.example/devices/d/modules/M",
            "hub.example/devices/d/modules/m",
            false,
        ),
        ("hub.example/twins/D", "hub.example/twins/d", false),
        ("hub.example/devices", "hub.example/devices/d", true),
        // An id may be one of the words.
        (
            "hub.example/devices/Devices",
            "hub.example/devices/devices",
            false,
        ),
        (
            "hub.example/devices/devices/modules/M",
            "hub.example/devices/devices/modules/m",
            false,
        ),
    ] {
        let token = token_of(sent, sent, soon, "&skn=device");
        let result = verify(&token, requested);
        assert_eq!(result.is_ok(), contained, "{sent} {requested}: {result:?}");
        // A device daemon's own token, which it spells in lower case.
        let own = token_of(sent, sent, soon, "");
        assert!(verify(&own, requested).is_ok(), "{sent} {requested}");
    }
}

#[test]
fn expiry_allows_for_skew_and_no_more() {
    let at = |seconds: i64| verify(&token_of("h", "h", NOW.unix_seconds() + seconds, ""), "h");
    assert!(at(1).is_ok());
    assert!(at(-299).is_ok());
    assert!(matches!(at(-300), Err(SasError::Expired { .. })));
}

#[test]
fn a_changed_token_does_not_verify() {
    let soon = NOW.unix_seconds() + 30;
    let token = token_of("h", "h", soon, "");
    let later = token.replace(&format!("se={soon}"), &format!("se={}", soon + 1));
    assert_eq!(verify(&later, "h"), Err(SasError::Signature));
    let other = SharedAccessKey::from_bytes(b"another key of 24 bytes!".to_vec()).unwrap();
    let result = UnverifiedToken::parse(&token)
        .unwrap()
        .verify([&other], "h", NOW, SKEW);
    assert_eq!(result, Err(SasError::Signature));
    let result = UnverifiedToken::parse(&token)
        .unwrap()
        .verify([&other, &key()], "h", NOW, SKEW);
    assert!(result.is_ok());
}

#[test]
fn what_is_not_a_token_says_why() {
    let long = "x".repeat(MAX_TOKEN + 1);
    for (text, why) in [
        ("", "no scheme"),
        ("Bearer abc", "another scheme"),
        ("SharedAccessSignature sig=AA%3D%3D&se=1", "no sr"),
        ("SharedAccessSignature sr=a&sr=b&sig=AA%3D%3D&se=1", "twice"),
        ("SharedAccessSignature sr=a&sig=AA%3D%3D&se=soon", "seconds"),
        ("SharedAccessSignature sr=a&sig=%%%&se=1", "base64"),
        ("SharedAccessSignature sr=a%ff&sig=AA%3D%3D&se=1", "UTF-8"),
        (long.as_str(), "too long"),
    ] {
        let error = UnverifiedToken::parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn keys_are_not_shown() {
    assert_eq!(format!("{:?}", key()), "SharedAccessKey(redacted)");
}
