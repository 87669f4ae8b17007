use std::net::IpAddr;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::{MAX_REQUEST_NAMES, RequestError};
use crate::ServerName;

/// The names that a request asks for, or why they cannot be issued. The fault matters only to
/// profiles that take names from requests.
#[derive(Debug, Clone)]
pub(crate) struct RequestedNames(Result<Box<[ServerName]>, Fault>);

#[derive(Debug, Clone, Copy)]
enum Fault {
    Unreadable,
    TooMany,
    Dns,
    Address,
}

impl RequestedNames {
    /// Names of other kinds (mail addresses, URIs) are ignored like other extensions.
    pub(super) fn read(request: &X509CertificationRequest<'_>) -> Self {
        let mut names = Vec::new();
        for extension in request.requested_extensions().into_iter().flatten() {
            let found = match extension {
                ParsedExtension::SubjectAlternativeName(found) => found,
                // Of an extension that cannot be read, the parser does not say which one it is.
                ParsedExtension::ParseError { .. } => return Self(Err(Fault::Unreadable)),
                _ => continue,
            };
            for name in &found.general_names {
                match server_name(name) {
                    None => {}
                    Some(Err(fault)) => return Self(Err(fault)),
                    Some(Ok(_)) if names.len() == MAX_REQUEST_NAMES => {
                        return Self(Err(Fault::TooMany));
                    }
                    Some(Ok(name)) => names.push(name),
                }
            }
        }
        Self(Ok(names.into()))
    }

    pub(super) fn get(&self) -> Result<&[ServerName], RequestError> {
        let fault = match &self.0 {
            Ok(names) => return Ok(names),
            Err(fault) => fault,
        };
        Err(RequestError::Names(match fault {
            Fault::Unreadable => "a requested extension cannot be read".to_owned(),
            Fault::TooMany => format!("it has more than {MAX_REQUEST_NAMES} names"),
            Fault::Dns => {
                "one of its DNS names is not a host name (wildcards are not issued)".to_owned()
            }
            Fault::Address => "one of its IP addresses has neither 4 nor 16 bytes".to_owned(),
        }))
    }
}

fn server_name(name: &GeneralName<'_>) -> Option<Result<ServerName, Fault>> {
    match name {
        GeneralName::DNSName(dns) => Some(match ServerName::parse(dns) {
            Ok(ServerName::Dns(dns)) => Ok(ServerName::Dns(dns)),
            Ok(ServerName::Ip(_)) | Err(_) => Err(Fault::Dns),
        }),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            Some(v4.or(v6).map(ServerName::Ip).map_err(|_| Fault::Address))
        }
        _ => None,
    }
}
