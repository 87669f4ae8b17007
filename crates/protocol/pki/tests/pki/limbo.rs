//! Cases of x509-limbo (https://x509-limbo.com, Apache-2.0) about RFC 5280 basics; names and CRLs
//! are left out, we verify neither.

use std::collections::BTreeMap;

use ids::Timestamp;
use pki::{Certificate, IssuerCache, PresentedChain, Purpose, verify_chain_for};
use serde::Deserialize;

#[derive(Deserialize)]
struct Suite {
    testcases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    expected_result: String,
}

/// Where we differ from the suite on purpose, by reason.
const DIFFERENT: &[(&str, &[&str])] = &[
    (
        "a CA is never a device's identity (design), whatever RFC 5280 permits",
        &["rfc5280::ca-as-leaf"],
    ),
    (
        "version 1 leaves are what `openssl x509 -req` makes; their signature is verified all the \
         same",
        &["webpki::v1-cert"],
    ),
    (
        "the rule is for who issues; that the extension is not critical, or stands in a leaf, \
         weakens no check of ours",
        &[
            "rfc5280::nc::permitted-dns-match-noncritical",
            "rfc5280::nc::not-allowed-in-ee-noncritical",
            "rfc5280::root-non-critical-basic-constraints",
            "rfc5280::ca-empty-subject",
        ],
    ),
    (
        "rules of the public web for extendedKeyUsage, which private device CAs do not follow",
        &[
            "webpki::eku::ee-anyeku",
            "webpki::eku::ee-critical-eku",
            "webpki::eku::root-has-eku",
        ],
    ),
    (
        "RSA keys of 2048 to 8192 bits are accepted, whether or not a multiple of 8",
        &["webpki::forbidden-rsa-not-divisible-by-8-in-root"],
    ),
];

fn verify_case(case: &Case) -> Result<(), String> {
    let purpose = match case.validation_kind.as_str() {
        "CLIENT" => Purpose::ClientAuth,
        "SERVER" => Purpose::ServerAuth,
        other => panic!("{}: kind {other}", case.id),
    };
    let parse = |pem: &String| Certificate::parse_one(pem.as_bytes()).map_err(|e| format!("{e:?}"));
    let mut presented = vec![parse(&case.peer_certificate)?];
    for pem in &case.untrusted_intermediates {
        presented.push(parse(pem)?);
    }
    let presented = PresentedChain::from_certificates(presented).map_err(|e| e.to_string())?;
    let now = case
        .validation_time
        .as_deref()
        .unwrap_or("2025-06-01T00:00:00Z");
    let now = Timestamp::parse(now).unwrap();
    let mut faults = Vec::new();
    for pem in &case.trusted_certs {
        let trust_anchor = match parse(pem) {
            Ok(trust_anchor) => trust_anchor,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        match verify_chain_for(
            purpose,
            &presented,
            &trust_anchor,
            now,
            &IssuerCache::default(),
        ) {
            Ok(_) => return Ok(()),
            Err(fault) => faults.push(format!("{}: {fault}", fault.code())),
        }
    }
    Err(faults.join(" | "))
}

#[test]
fn every_kept_case_ends_as_expected() {
    let suite: Suite =
        serde_json::from_str(include_str!("../data/x509-limbo-subset.json")).unwrap();
    assert!(
        suite.testcases.len() >= 60,
        "the subset shrank to {}",
        suite.testcases.len()
    );
    let listed = |(reason, ids): &(&'static str, &'static [&'static str])| {
        let reason = *reason;
        ids.iter().map(move |id| (*id, reason)).collect::<Vec<_>>()
    };
    let mut different: BTreeMap<&str, &str> = DIFFERENT.iter().flat_map(listed).collect();
    let mut wrong = Vec::new();
    for case in &suite.testcases {
        let result = verify_case(case);
        let agrees = result.is_ok() == (case.expected_result == "SUCCESS");
        match (agrees, different.remove(case.id.as_str())) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(_)) => wrong.push(format!("{}: listed as different, but agrees", case.id)),
            (false, None) => wrong.push(format!(
                "{}: expected {}, got {result:?}",
                case.id, case.expected_result
            )),
        }
    }
    assert!(
        different.is_empty(),
        "listed but not in the subset: {different:?}"
    );
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
