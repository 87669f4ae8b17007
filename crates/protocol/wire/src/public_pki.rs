//! `/pki/…`: what an issuer publishes for those that verify its certificates. Each generation of an
//! issuer has its own paths, which its certificates carry; those without a generation are the
//! newest one's.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ids::IssuerName;
use percent_encoding::percent_decode_str;

use crate::http::is;

mod log;

pub use log::{LOG_TILE_HEIGHT, LOG_TILE_WIDTH, LogItem, LogTile};

/// `Content-Type` of a CA certificate in DER.
pub const CERTIFICATE: &str = "application/pkix-cert";
/// `Content-Type` of a chain in PEM.
pub const CHAIN: &str = "application/pem-certificate-chain";
/// `Content-Type` of a revocation list in DER.
pub const CRL: &str = "application/pkix-crl";
/// `Content-Type` of an OCSP request.
pub const OCSP_REQUEST: &str = "application/ocsp-request";
/// `Content-Type` of an OCSP response.
pub const OCSP_RESPONSE: &str = "application/ocsp-response";
/// `Content-Type` of a checkpoint of the log, and of its key.
pub const LOG_TEXT: &str = "text/plain; charset=utf-8";
/// `Content-Type` of hashes of the log.
pub const LOG_HASHES: &str = "application/octet-stream";

/// Longest key identifier, in bytes, that counts in a path.
const MAX_IDENTIFIER: usize = 32;

const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

const EXACT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    LENIENT.with_decode_allow_trailing_bits(false),
);

/// The key of an issuer's CA, as paths name it: its key identifier in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(String);

impl Generation {
    /// Of a CA with this key identifier.
    #[must_use]
    pub fn of(key_identifier: &[u8]) -> Self {
        let counts = key_identifier.iter().take(MAX_IDENTIFIER);
        Self(counts.map(|byte| format!("{byte:02x}")).collect())
    }

    fn parse(text: &str) -> Option<Self> {
        let is_hex = !text.is_empty() && text.bytes().all(|c| c.is_ascii_hexdigit());
        (is_hex && text.len() <= 2 * MAX_IDENTIFIER).then(|| Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One path of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPath<'a> {
    /// The issuer's name.
    pub issuer: IssuerName,
    /// `None`: the newest.
    pub generation: Option<Generation>,
    /// What is published there.
    pub item: PublicItem<'a>,
}

/// What an issuer publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicItem<'a> {
    /// `ca.cer` of a generation: the CA certificate in DER.
    Certificate,
    /// `ca` of the newest generation: its chain in PEM.
    Chain,
    /// `crl`, or `crl/XX` for the certificates of one distribution point.
    Crl {
        /// The distribution point.
        shard: Option<u8>,
    },
    /// `ocsp`, and `ocsp/REQUEST` of GET.
    Ocsp {
        /// The request as it is in the path: base64, percent-encoded.
        request: Option<&'a str>,
    },
    /// `log/…`: the log of issued certificates, which the issuers of a service share.
    Log(LogItem),
}

impl<'a> PublicPath<'a> {
    /// Whether a path is below `/pki`, whatever is there.
    #[must_use]
    pub fn is_below(path: &[&str]) -> bool {
        path.first().is_some_and(|root| is(root, "pki"))
    }

    /// Reads the path of a request as it was sent. `None` when nothing is published there.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let (prefix, rest) = path.strip_prefix('/')?.split_once('/')?;
        let (issuer, rest) = rest.split_once('/')?;
        let issuer = percent_decode_str(issuer).decode_utf8().ok()?;
        let issuer = IssuerName::parse(&issuer).ok()?;
        if !prefix.eq_ignore_ascii_case("pki") {
            return None;
        }
        if rest == "ca" {
            return Some(Self {
                issuer,
                generation: None,
                item: PublicItem::Chain,
            });
        }
        let below_log = rest.strip_prefix("log/").map(LogItem::parse);
        let item_of_newest = match below_log {
            Some(log) => Some(PublicItem::Log(log?)),
            None => item(rest),
        };
        if let Some(item) = item_of_newest {
            return Some(Self {
                issuer,
                generation: None,
                item,
            });
        }
        let (generation, rest) = rest.split_once('/')?;
        let generation = Some(Generation::parse(generation)?);
        let item = match rest {
            "ca.cer" => PublicItem::Certificate,
            rest => item(rest)?,
        };
        Some(Self {
            issuer,
            generation,
            item,
        })
    }
}

fn item(rest: &str) -> Option<PublicItem<'_>> {
    let (name, below) = match rest.split_once('/') {
        Some((name, below)) => (name, Some(below)),
        None => (rest, None),
    };
    match (name, below) {
        ("crl", None) => Some(PublicItem::Crl { shard: None }),
        ("crl", Some(shard))
            if shard.len() == 2 && shard.bytes().all(|c| c.is_ascii_hexdigit()) =>
        {
            let shard = Some(u8::from_str_radix(shard, 16).ok()?);
            Some(PublicItem::Crl { shard })
        }
        ("ocsp", None | Some("")) => Some(PublicItem::Ocsp { request: None }),
        ("ocsp", request) => Some(PublicItem::Ocsp { request }),
        _ => None,
    }
}

impl fmt::Display for PublicPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/pki/{}", self.issuer)?;
        if let Some(generation) = &self.generation {
            write!(f, "/{generation}")?;
        }
        match self.item {
            PublicItem::Certificate => f.write_str("/ca.cer"),
            PublicItem::Chain => f.write_str("/ca"),
            PublicItem::Crl { shard: None } => f.write_str("/crl"),
            PublicItem::Crl { shard: Some(shard) } => write!(f, "/crl/{shard:02x}"),
            PublicItem::Ocsp { request: None } => f.write_str("/ocsp"),
            PublicItem::Ocsp {
                request: Some(request),
            } => write!(f, "/ocsp/{request}"),
            PublicItem::Log(item) => write!(f, "/log/{item}"),
        }
    }
}

/// The bytes of an OCSP request in a path (RFC 6960, A.1). Clients encode all, some or none of the
/// special characters of base64, leave its padding out, or use the alphabet of URLs.
#[must_use]
pub fn ocsp_request(in_path: &str) -> Option<Vec<u8>> {
    let text = percent_decode_str(in_path).decode_utf8().ok()?;
    let text = text.replace('-', "+").replace('_', "/");
    // The letter `/` may be the last one of a request, or stand after it. Then it rarely fits.
    let whole = EXACT_BASE64.decode(&text);
    whole
        .or_else(|_| BASE64.decode(text.trim_end_matches('/')))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<PublicPath<'_>> {
        PublicPath::parse(path)
    }

    #[test]
    fn paths_are_written_as_they_are_read() {
        for path in [
            "/pki/fleet/ca",
            "/pki/fleet/crl",
            "/pki/fleet/ocsp",
            "/pki/fleet/0aff/ca.cer",
            "/pki/fleet/0aff/crl",
            "/pki/fleet/0aff/crl/5f",
            "/pki/fleet/0aff/ocsp",
            "/pki/fleet/0aff/ocsp/MEUw/QzA%2B",
            // A key identifier of one byte.
            "/pki/fleet/ca/crl",
            "/pki/fleet/log/checkpoint",
            "/pki/fleet/log/key",
            "/pki/fleet/log/tile/0/000",
            "/pki/fleet/log/tile/1/x001/x234/067",
            "/pki/fleet/log/tile/0/255.p/7",
        ] {
            assert_eq!(parse(path).unwrap().to_string(), path);
        }
        let spelled = parse("/PKI/Fleet/0AFF/crl/5F").unwrap();
        assert_eq!(spelled.to_string(), "/pki/Fleet/0aff/crl/5f");
        assert_eq!(spelled.generation, Some(Generation::of(&[0x0a, 0xff])));
    }

    #[test]
    fn nothing_is_published_at_other_paths() {
        for path in [
            "/pki",
            "/pki/",
            "/pki/fleet",
            "/pki/fleet/",
            "/pki/fleet/ca.cer",
            "/pki/fleet/0aff",
            "/pki/fleet/0aff/ca",
            "/pki/fleet/0aff/crl/",
            "/pki/fleet/0aff/crl/5",
            "/pki/fleet/0aff/crl/zz",
            "/pki/fleet/0aff/crl/+f",
            "/pki/fleet/xyz/crl",
            "/pki/fleet/0aff/key.pem",
            "/pki/../fleet/crl",
            "/pki/fleet/log",
            "/pki/fleet/log/",
            "/pki/fleet/0aff/log/checkpoint",
            "/pki/fleet/log/tile/entries/000",
            "/pki/fle%2ft/crl",
            "/other/fleet/crl",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
        assert!(PublicPath::is_below(&["pki"]) && PublicPath::is_below(&["PKI", "x"]));
        assert!(!PublicPath::is_below(&["pkix"]) && !PublicPath::is_below(&[]));
    }

    #[test]
    fn every_spelling_of_base64_in_a_path_is_the_same_request() {
        let bytes = vec![0xfb, 0xff, 0xfe, 0x3e];
        for spelling in [
            "+//+Pg==",
            "%2B%2F%2F%2BPg%3D%3D",
            "%2b//%2bPg%3d%3D",
            "+//+Pg",
            "-__-Pg",
        ] {
            assert_eq!(ocsp_request(spelling), Some(bytes.clone()), "{spelling}");
        }
        for spelling in ["-__-Pg==/", "+//+Pg/"] {
            assert_eq!(ocsp_request(spelling), Some(bytes.clone()), "{spelling}");
        }
        for ends_in_a_slash in ["AP//", "AP%2F%2f", "AP__"] {
            let read = ocsp_request(ends_in_a_slash);
            assert_eq!(read, Some(vec![0, 0xff, 0xff]), "{ends_in_a_slash}");
        }
        assert_eq!(ocsp_request("!"), None);
        assert_eq!(ocsp_request("%ff"), None);
    }
}
