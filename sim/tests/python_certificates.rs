//! What the product signs, as others read it: pkilint finds nothing that has no reason, and
//! Python's `cryptography` verifies the same and reads what was meant.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use ids::Timestamp;
use pki::{
    CaHashes, Certificate, CrlFields, Issuer, KeyType, OcspAnswer, OcspHash, OcspStatus,
    PrivateKey, Profile, RevocationReason, RevokedEntry, Serial, ServerName, Subject, Validity,
    build_crl, build_ocsp_response,
};
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(86_400);
/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);

/// Findings of pkilint that stand, with the reason.
const ACCEPTED: &[(&str, &str)] = &[];

fn issue(
    profile: Profile,
    name: &str,
    issuer: Option<&Issuer>,
) -> Result<(Certificate, PrivateKey)> {
    let key = PrivateKey::generate(KeyType::Ec)?;
    let subject = Subject::common_name(name)?;
    let validity = Validity::UpTo(DAY * 300);
    let prepared = pki::prepare(profile, &subject, issuer, validity, Serial::random()?, NOW)?;
    Ok((prepared.lint()?.sign(&key)?, key))
}

/// One certificate of every profile, by its file name, and the issuer of most.
fn certificates() -> Result<(Vec<(&'static str, Certificate)>, Issuer)> {
    let (root, root_key) = issue(Profile::Root { path_length: 2 }, "Plant root", None)?;
    let by_root = Issuer::new(root.clone(), root_key)?;
    let intermediate = Profile::Intermediate { path_length: 1 };
    let (ca, ca_key) = issue(intermediate, "Plant issuer", Some(&by_root))?;
    let issuer = Issuer::new(ca.clone(), ca_key)?;
    let names = vec![
        ServerName::parse("gateway.plant")?,
        ServerName::parse("192.0.2.7")?,
    ];
    let mut found = vec![("root.cer", root), ("issuer.cer", ca)];
    for (file, profile, name) in [
        ("identity.cer", Profile::EdgeIdentity, "press-7"),
        ("device.cer", Profile::Device, "sensor-9"),
        ("edge-ca.cer", Profile::EdgeCa, "press 7 CA"),
        ("server.cer", Profile::Server { names }, "gateway.plant"),
        (
            "verification.cer",
            Profile::Verification,
            "0123456789ABCDEF",
        ),
    ] {
        found.push((file, issue(profile, name, Some(&issuer))?.0));
    }
    Ok((found, issuer))
}

const SERIALS: [&[u8]; 3] = [&[0x41, 0xff], &[0xf1, 0x02], &[0x10; 16]];

fn write_lists(dir: &Path, issuer: &Issuer) -> Result<()> {
    let reasons = [
        RevocationReason::KeyCompromise,
        RevocationReason::CertificateHold,
        RevocationReason::Unspecified,
    ];
    let rows = SERIALS.into_iter().zip(reasons);
    let entries: Vec<RevokedEntry<'_>> = rows
        .map(|(serial, reason)| RevokedEntry {
            serial,
            when: NOW,
            reason,
        })
        .collect();
    let fields = CrlFields {
        number: 7,
        this_update: NOW,
        next_update: NOW.plus(DAY * 7),
        distribution_point: None,
    };
    let shard = CrlFields {
        distribution_point: Some("http://pki.plant/pki/fleet/0a/crl/3"),
        ..fields
    };
    for (name, fields, entries) in [
        ("empty.crl", fields, &[][..]),
        ("three.crl", fields, &entries),
        ("shard.crl", shard, &entries[..1]),
    ] {
        std::fs::write(
            dir.join(name),
            build_crl(issuer, &fields, entries.iter().copied())?,
        )?;
    }
    Ok(())
}

fn write_answers(dir: &Path, issuer: &Issuer) -> Result<()> {
    let hashes = CaHashes::of(issuer.certificate());
    let held = OcspStatus::Revoked {
        when: NOW,
        reason: RevocationReason::CertificateHold,
    };
    let revoked = OcspStatus::Revoked {
        when: NOW,
        reason: RevocationReason::Unspecified,
    };
    for (name, hash, statuses, nonce) in [
        ("good.ocsp", OcspHash::Sha1, &[OcspStatus::Good][..], None),
        ("held.ocsp", OcspHash::Sha256, &[held], None),
        (
            "revoked.ocsp",
            OcspHash::Sha1,
            &[revoked],
            Some(&[5; 32][..]),
        ),
        (
            "unknown.ocsp",
            OcspHash::Sha256,
            &[OcspStatus::Unknown],
            None,
        ),
        (
            "several.ocsp",
            OcspHash::Sha1,
            &[OcspStatus::Good, held],
            Some(&[6; 8]),
        ),
    ] {
        let ids: Vec<Vec<u8>> = SERIALS
            .iter()
            .map(|serial| hashes.cert_id(hash, serial))
            .collect();
        let answers = ids
            .iter()
            .zip(statuses)
            .map(|(cert_id, status)| OcspAnswer {
                cert_id,
                status: *status,
                this_update: NOW,
                next_update: Some(NOW.plus(DAY)),
            });
        let answers: Vec<_> = answers.collect();
        let response = build_ocsp_response(issuer, &answers, nonce, NOW)?;
        std::fs::write(dir.join(name), response)?;
    }
    Ok(())
}

fn unexplained(findings: &Value) -> Result<Vec<String>> {
    let findings = findings.as_object().context("no findings")?;
    let mut found = Vec::new();
    for (file, codes) in findings {
        let codes = codes.as_array().context("no list")?.iter();
        let codes = codes.filter_map(Value::as_str);
        let open = codes.filter(|code| !ACCEPTED.iter().any(|(known, _)| known == code));
        found.extend(open.map(|code| format!("{file}: {code}")));
    }
    Ok(found)
}

#[test]
fn python_reads_what_we_sign_and_finds_nothing_wrong() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (certificates, issuer) = certificates()?;
    for (name, certificate) in &certificates {
        std::fs::write(dir.path().join(name), certificate.der())?;
    }
    write_lists(dir.path(), &issuer)?;
    write_answers(dir.path(), &issuer)?;
    let answer = sim::python("second_opinion", dir.path())?;
    assert_eq!(unexplained(&answer["findings"])?, Vec::<String>::new());
    let files = answer["findings"].as_object().map(serde_json::Map::len);
    assert_eq!(files, Some(certificates.len() + 3 + 5), "{answer}");

    let [first, second, third] = ["41FF", "F102", "10101010101010101010101010101010"];
    assert_eq!(
        answer["crl"],
        json!({
            "empty.crl": {},
            "three.crl": {first: "keyCompromise", second: "certificateHold", third: "unspecified"},
            "shard.crl": {first: "keyCompromise"},
        })
    );
    assert_eq!(
        answer["ocsp"],
        json!({
            "good.ocsp": {first: "good"},
            "held.ocsp": {first: "certificateHold"},
            "revoked.ocsp": {first: "revoked"},
            "unknown.ocsp": {first: "unknown"},
            "several.ocsp": {first: "good", second: "certificateHold"},
        })
    );
    Ok(())
}

/// Findings do reach us: this one is the same fault that OpenSSL's own option makes.
#[test]
fn python_finds_what_is_wrong() -> Result<()> {
    let dir = tempfile::tempdir()?;
    sim::openssl(
        dir.path(),
        "req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key \
         -outform DER -out issuer.cer -days 30 -subj /CN=CA -addext basicConstraints=CA:TRUE",
    )?;
    let answer = sim::python("second_opinion", dir.path())?;
    let found = unexplained(&answer["findings"])?;
    let wanted = "issuer.cer: pkix.basic_constraints_extension_not_critical";
    assert!(found.iter().any(|one| one == wanted), "{found:?}");
    Ok(())
}
