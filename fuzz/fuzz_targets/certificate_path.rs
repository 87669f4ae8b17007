//! Paths of certificates for every purpose: a byte for the purpose, then certificates, each after
//! its length in two bytes; the last one is the trust anchor. A cache changes no decision, and a
//! refusal has a rule and words.
#![no_main]

use ids::Timestamp;
use libfuzzer_sys::fuzz_target;
use pki::{
    Certificate, IssuerCache, PathRules, PresentedChain, Purpose, SeenIssuers, ServerName,
    verify_path,
};

/// 2026-01-01.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);

fuzz_target!(|data: &[u8]| {
    let Some((purpose, rest)) = data.split_first() else { return };
    let mut certificates = split(rest);
    let Some(trust_anchor) = certificates.pop() else { return };
    let Ok(trust_anchor) = Certificate::from_der(trust_anchor) else { return };
    let Ok(presented) = PresentedChain::new(&certificates, &SeenIssuers::new(4)) else { return };
    let purposes = [Purpose::ClientAuth, Purpose::ServerAuth, Purpose::Issue, Purpose::Any];
    let mut rules = PathRules::new(purposes[usize::from(*purpose) % purposes.len()]);
    let name = ServerName::Dns("example.com".to_owned());
    rules.server_name = (*purpose >= 128).then_some(&name);
    let cache = IssuerCache::new(4);
    let verify = || verify_path(&rules, &presented, &trust_anchor, NOW, &cache);
    match (verify(), verify()) {
        (Ok(first), Ok(again)) => assert_eq!(first.issuers(), again.issuers()),
        (Err(first), Err(again)) => {
            assert_eq!(first, again);
            assert!(!first.code().is_empty() && !first.to_string().is_empty());
        }
        (first, again) => panic!("{first:?} {again:?}"),
    }
});

fn split(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (certificate, after) = after.split_at(length);
        found.push(certificate);
        rest = after;
    }
    found
}
