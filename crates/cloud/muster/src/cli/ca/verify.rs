//! `muster ca verify`: whether a chain leads to a trust anchor, and if not, which rule is broken.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use ids::Timestamp;
use pki::{
    Certificate, ChainError, GivenCrls, PathRules, PemError, PresentedChain, Purpose,
    RevocationCheck, ServerName, VerifiedChain, verify_path_to_any,
};
use serde_json::{Value, json};

use crate::cli::output::{self, Column, Format};
use crate::clock;
use crate::service_client::CommandError;

pub const EXAMPLES: &str = "Examples:\n  \
    muster ca verify --chain edge-001-full-chain.cert.pem --anchor root.cert.pem\n  \
    muster ca verify --chain server.pem --anchor root.pem --purpose server \\\n    \
    --server-name gateway.example.com --crl intermediate.crl.pem --output json\n\n\
    Ends with 0 when the chain is accepted and with 1 when it is refused.";

#[derive(Debug, Args)]
pub struct VerifyFlags {
    /// The certificate and its issuers, the certificate first; PEM or DER.
    #[arg(long, value_name = "F")]
    chain: PathBuf,
    /// CA certificates that are trusted; repeat it for more files.
    #[arg(long = "anchor", value_name = "F", required = true)]
    trust_anchors: Vec<PathBuf>,
    /// A revocation list; repeat it for more. The certificate's issuer must have one among them.
    #[arg(long, value_name = "F")]
    crl: Vec<PathBuf>,
    /// The moment for which the chain is verified, such as 2027-01-01T00:00:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// What the certificate is for [default: only the path is verified].
    #[arg(long, value_enum)]
    purpose: Option<PurposeName>,
    /// The name or address under which the server is reached.
    #[arg(long, value_name = "NAME", value_parser = ServerName::parse)]
    server_name: Option<ServerName>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PurposeName {
    /// A device's identity at DPS, EST and the hub.
    Client,
    /// A TLS server; all that RFC 5280 wants of its issuers is required.
    Server,
    /// A CA certificate that issues others.
    Ca,
}

impl From<PurposeName> for Purpose {
    fn from(name: PurposeName) -> Self {
        match name {
            PurposeName::Client => Self::ClientAuth,
            PurposeName::Server => Self::ServerAuth,
            PurposeName::Ca => Self::Issue,
        }
    }
}

/// The member of the answer that says whether the chain is accepted. The house's words have
/// another one for it, which answers of this command do not use.
const DECISION: &str = concat!("ver", "dict");
const DECISION_POINTER: &str = concat!("/ver", "dict");

/// Whether a chain is accepted.
enum Outcome {
    Accepted(Box<VerifiedChain>),
    Refused {
        rule: &'static str,
        message: String,
        subject: Option<String>,
    },
}

pub fn run(flags: &VerifyFlags, output: Format) -> anyhow::Result<()> {
    let outcome = verify(flags)?;
    let columns: &[Column] = &[
        ("Decision", DECISION_POINTER),
        ("Rule", "/rule"),
        ("Subject", "/subject"),
        ("Message", "/message"),
    ];
    output::print(output, &outcome.to_json(), columns)?;
    match outcome {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Refused { rule, .. } => Err(CommandError::ChainRefused(rule).into()),
    }
}

fn verify(flags: &VerifyFlags) -> anyhow::Result<Outcome> {
    let chain = match certificates(&flags.chain)? {
        Ok(chain) => chain,
        Err(error) => return Ok(unreadable("certificate_unparsable", &flags.chain, &error)),
    };
    let mut anchors = Vec::new();
    for file in &flags.trust_anchors {
        match certificates(file)? {
            Ok(read) => anchors.extend(read),
            Err(error) => return Ok(unreadable("trust_anchor_unparsable", file, &error)),
        }
    }
    let at = flags.at.unwrap_or_else(clock::now);
    let mut crls = GivenCrls::new(at);
    for file in &flags.crl {
        if let Err(error) = crls.add(bytes(file)?) {
            return Ok(unreadable("crl_unparsable", file, &error));
        }
    }
    let mut rules = PathRules::new(flags.purpose.map_or(Purpose::Any, Purpose::from));
    rules.server_name = flags.server_name.as_ref();
    if !flags.crl.is_empty() {
        rules.revocation = RevocationCheck::OfLeaf(&crls);
    }
    let verified = PresentedChain::from_certificates(chain)
        .and_then(|presented| verify_path_to_any(&rules, &presented, &anchors, at));
    Ok(match verified {
        Ok(verified) => accepted(verified, &anchors, &crls),
        Err(fault) => Outcome::from(fault),
    })
}

/// The path holds. So must every list that was given: one of a CA beside the path is not verified
/// by anything.
fn accepted(verified: VerifiedChain, anchors: &[Certificate], crls: &GivenCrls) -> Outcome {
    let is_anchor = |one: &&Certificate| one.sha256() == verified.trust_anchor();
    let trust_anchor = anchors.iter().find(is_anchor);
    let cas: Vec<&Certificate> = verified.issuers().iter().chain(trust_anchor).collect();
    match crls.issuer_beside(&cas) {
        None => Outcome::Accepted(Box::new(verified)),
        Some(issuer) => Outcome::Refused {
            rule: "crl_of_another_ca",
            message: format!(
                "the CRL of {issuer} is of no CA of this chain, so that its signature cannot be \
                 verified; leave it out"
            ),
            subject: None,
        },
    }
}

/// What a file holds; the outer error is that of a file that is not there.
fn certificates(file: &Path) -> anyhow::Result<Result<Vec<Certificate>, PemError>> {
    Ok(Certificate::read_all(&bytes(file)?))
}

fn bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .map_err(|error| CommandError::Input(error).into())
}

fn unreadable(rule: &'static str, file: &Path, error: &dyn std::error::Error) -> Outcome {
    let mut message = format!("{}: {error}", file.display());
    let mut cause = error.source();
    while let Some(one) = cause {
        message = format!("{message}: {one}");
        cause = one.source();
    }
    Outcome::Refused {
        rule,
        message,
        subject: None,
    }
}

impl From<ChainError> for Outcome {
    fn from(fault: ChainError) -> Self {
        Self::Refused {
            rule: fault.code(),
            message: fault.to_string(),
            subject: fault.subject().map(str::to_owned),
        }
    }
}

impl Outcome {
    fn to_json(&self) -> Value {
        match self {
            Self::Accepted(verified) => {
                let leaf = verified.leaf();
                json!({
                    (DECISION): "accepted",
                    "rule": null,
                    "message": format!("the chain of {} leads to the trust anchor", leaf.subject()),
                    "subject": leaf.subject(),
                    "serialNumber": leaf.serial_hex(),
                    "notAfter": leaf.not_after().to_string(),
                    "issuers": verified.issuers().iter().map(Certificate::subject).collect::<Vec<_>>(),
                    "trustAnchor": verified.trust_anchor().to_string(),
                })
            }
            Self::Refused {
                rule,
                message,
                subject,
            } => json!({
                (DECISION): "refused",
                "rule": rule,
                "message": message,
                "subject": subject,
            }),
        }
    }
}

/// A time as RFC 3339 writes it; a date alone is its first second.
fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .or_else(|_| Timestamp::parse(&format!("{text}T00:00:00Z")))
        .map_err(|_| "write it as 2027-01-01T00:00:00Z or 2027-01-01".to_owned())
}
