//! Runs cases of x509-limbo (<https://x509-limbo.com>) through our one path validation.

use std::collections::BTreeMap;

use ids::Timestamp;
use pki::{
    Certificate, GivenCrls, PathRules, PresentedChain, Purpose, RevocationCheck, ServerName,
    verify_path_to_any,
};
use serde::Deserialize;

use super::differences::DIFFERENCES;

/// Cases without a time of their own are verified at this one: 2026-01-01.
const TIME: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);

#[derive(Deserialize)]
pub struct Suite {
    pub testcases: Vec<Case>,
}

#[derive(Deserialize)]
pub struct Case {
    pub id: String,
    validation_kind: String,
    trusted_certs: Vec<String>,
    #[serde(default)]
    untrusted_intermediates: Vec<String>,
    peer_certificate: String,
    validation_time: Option<String>,
    expected_peer_name: Option<PeerName>,
    max_chain_depth: Option<u32>,
    #[serde(default)]
    crls: Vec<String>,
    pub expected_result: String,
}

#[derive(Deserialize)]
struct PeerName {
    kind: String,
    value: String,
}

/// A refusal: the rule that is broken, and the words for the operator.
pub struct Refused {
    pub rule: &'static str,
    pub message: String,
}

impl Refused {
    fn new(rule: &'static str, message: impl ToString) -> Self {
        let message = message.to_string();
        Self { rule, message }
    }
}

/// What came of a case.
pub struct Outcome<'a> {
    pub case: &'a Case,
    pub refused: Option<Refused>,
    pub agrees: bool,
    /// Why it differs, when that is on purpose.
    pub reason: Option<&'static str>,
}

impl Outcome<'_> {
    /// Whether it differs without a reason, or has a reason and does not differ.
    pub fn is_fault(&self) -> bool {
        self.agrees == self.reason.is_some()
    }

    pub fn ours(&self) -> &'static str {
        match self.refused {
            None => "SUCCESS",
            Some(_) => "FAILURE",
        }
    }
}

impl Suite {
    pub fn run(&self) -> Vec<Outcome<'_>> {
        let listed = |(reason, ids): &(&'static str, &'static [&'static str])| {
            let reason = *reason;
            ids.iter().map(move |id| (*id, reason)).collect::<Vec<_>>()
        };
        let reasons: BTreeMap<&str, &'static str> = DIFFERENCES.iter().flat_map(listed).collect();
        let outcome = |case| Outcome::new(case, reasons.get(case.id.as_str()).copied());
        self.testcases.iter().map(outcome).collect()
    }
}

impl<'a> Outcome<'a> {
    fn new(case: &'a Case, reason: Option<&'static str>) -> Self {
        let refused = case.verify().err();
        let agrees = refused.is_none() == (case.expected_result == "SUCCESS");
        Self {
            case,
            refused,
            agrees,
            reason,
        }
    }
}

impl Case {
    fn verify(&self) -> Result<(), Refused> {
        let read = |pem: &String| {
            Certificate::parse_one(pem.as_bytes())
                .map_err(|error| Refused::new("certificate_unparsable", format!("{error:?}")))
        };
        let mut presented = vec![read(&self.peer_certificate)?];
        for pem in &self.untrusted_intermediates {
            presented.push(read(pem)?);
        }
        let chain = |error: pki::ChainError| Refused::new(error.code(), error);
        let presented = PresentedChain::from_certificates(presented).map_err(chain)?;
        let anchors: Vec<_> = self.trusted_certs.iter().map(read).collect();
        let server_name = self.server_name()?;
        let mut rules = PathRules::new(self.purpose()?);
        rules.server_name = server_name.as_ref();
        rules.max_issuers = self.max_chain_depth;
        let crls = self.crls()?;
        rules.revocation = RevocationCheck::WhereKnown(&crls);
        let usable: Vec<_> = anchors.iter().flatten().cloned().collect();
        let verified = verify_path_to_any(&rules, &presented, &usable, self.time()?);
        match (verified, anchors.into_iter().find_map(Result::err)) {
            (Ok(_), _) => Ok(()),
            // An anchor that cannot be read leads to nothing; that is the reason then.
            (Err(pki::ChainError::NoTrustAnchor), Some(unreadable)) => Err(unreadable),
            (Err(error), _) => Err(chain(error)),
        }
    }

    fn purpose(&self) -> Result<Purpose, Refused> {
        match self.validation_kind.as_str() {
            "CLIENT" => Ok(Purpose::ClientAuth),
            "SERVER" => Ok(Purpose::ServerAuth),
            other => Err(Refused::new("kind_unknown", other)),
        }
    }

    /// Clients are not reached under a name.
    fn server_name(&self) -> Result<Option<ServerName>, Refused> {
        let Some(name) = self.expected_peer_name.as_ref() else {
            return Ok(None);
        };
        let unreadable = || Refused::new("peer_name_unreadable", &name.value);
        match name.kind.as_str() {
            "DNS" => Ok(Some(ServerName::Dns(name.value.to_ascii_lowercase()))),
            "IP" => {
                let ip = name.value.parse().map_err(|_| unreadable())?;
                Ok(Some(ServerName::Ip(ip)))
            }
            _ => Err(unreadable()),
        }
    }

    fn crls(&self) -> Result<GivenCrls, Refused> {
        let mut crls = GivenCrls::new(self.time()?);
        for pem in &self.crls {
            let added = crls.add(pem.clone().into_bytes());
            added.map_err(|error| Refused::new("crl_unparsable", error))?;
        }
        Ok(crls)
    }

    fn time(&self) -> Result<Timestamp, Refused> {
        let Some(text) = &self.validation_time else {
            return Ok(TIME);
        };
        Timestamp::parse(text).map_err(|error| Refused::new("time_unreadable", error))
    }
}
