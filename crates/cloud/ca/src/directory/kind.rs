//! The kinds of certificates that `muster ca issue` makes, and the names that Azure's scripts give
//! to their files.

use std::path::Path;

use ids::ProfileKind;
use ids::RegistrationId;
use pki::{IssueError, Profile, ServerName, Subject};

use crate::layout::{self, CaPaths};
use crate::{CaError, file_name};

/// What a certificate with a key of its own is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityKind {
    /// An edge device towards provisioning service and hub; the name is its registration id.
    EdgeIdentity,
    /// The CA of an edge device. Its common name is the name with `.ca`, as the scripts write it,
    /// because it must not be the host name.
    EdgeCa,
    /// The server of an edge device; the name is its host name or IP address.
    EdgeServer {
        /// More names that clients connect to.
        more_names: Vec<ServerName>,
    },
    /// A device that runs no edge modules; the name is its registration id.
    Device,
}

/// One name of a kind, with what is written for it.
#[derive(Debug, Clone)]
pub(super) struct NamedIdentity {
    /// As the operator wrote it.
    pub(super) name: String,
    pub(super) common_name: String,
    pub(super) subject: Subject,
    pub(super) profile: Profile,
    pub(super) kind: ProfileKind,
    pub(super) paths: CaPaths,
}

impl IdentityKind {
    /// The files of an identity of this name, existing or not.
    #[must_use]
    pub fn paths(&self, dir: &Path, name: &str) -> CaPaths {
        let prefix = match self {
            Self::EdgeIdentity => "iot-edge-device-identity-",
            Self::EdgeCa => "iot-edge-device-ca-",
            Self::EdgeServer { .. } => "iot-edge-server-",
            Self::Device => "iot-device-",
        };
        layout::named(dir, &format!("{prefix}{name}"))
    }

    fn profile_kind(&self) -> ProfileKind {
        match self {
            Self::EdgeIdentity => ProfileKind::EdgeIdentity,
            Self::EdgeCa => ProfileKind::EdgeCa,
            Self::EdgeServer { .. } => ProfileKind::EdgeServer,
            Self::Device => ProfileKind::Device,
        }
    }

    pub(super) fn named(&self, dir: &Path, name: &str) -> Result<NamedIdentity, CaError> {
        let refused = |problem| CaError::Name {
            name: name.to_owned(),
            problem,
        };
        if let Some(problem) = file_name::problem_with(name) {
            return Err(refused(problem));
        }
        if *self == Self::Device && name == VERIFICATION {
            return Err(refused(
                "its files would be those of the verification certificate",
            ));
        }
        let profile = match self {
            Self::EdgeIdentity => Profile::EdgeIdentity,
            Self::EdgeCa => Profile::EdgeCa,
            Self::Device => Profile::Device,
            Self::EdgeServer { more_names } => Profile::Server {
                names: server_names(name, more_names)?,
            },
        };
        let common_name = match self {
            Self::EdgeCa => format!("{name}.ca"),
            _ => name.to_owned(),
        };
        let subject = self
            .subject(&common_name)
            .map_err(|source| CaError::Issue {
                name: name.to_owned(),
                source,
            })?;
        Ok(NamedIdentity {
            name: name.to_owned(),
            common_name,
            subject,
            profile,
            kind: self.profile_kind(),
            paths: self.paths(dir, name),
        })
    }

    fn subject(&self, common_name: &str) -> Result<Subject, IssueError> {
        match self.profile_kind().is_identity() {
            true => Subject::registration(&RegistrationId::parse(common_name)?),
            false => Subject::common_name(common_name),
        }
    }
}

const VERIFICATION: &str = "verification-code";

fn server_names(name: &str, more: &[ServerName]) -> Result<Vec<ServerName>, CaError> {
    let own = ServerName::parse(name).map_err(|source| CaError::Issue {
        name: name.to_owned(),
        source,
    })?;
    let mut names = vec![own];
    for one in more {
        if !names.contains(one) {
            names.push(one.clone());
        }
    }
    Ok(names)
}
