//! Certificates of modules, signed by the device's Edge CA: for servers (`edgeHub`), and as
//! identities.

use std::time::Duration;

use ids::{DeviceId, HubHost, ModuleId, Timestamp};
use pki::{
    IssueError, KeyError, KeyType, PrivateKey, Profile, Serial, ServerName, Subject, Validity,
    prepare,
};
use zeroize::Zeroizing;

use super::issuer::OpenCa;
use super::slots::pem;

/// How long a module's certificate is valid when it asks for nothing, as in Azure's runtime.
const USUAL_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Azure's modules get keys of this kind, and some read no other.
const KEY_TYPE: KeyType = KeyType::Rsa2048;

/// A certificate of a module with its private key.
pub struct ModuleCertificate {
    /// PEM.
    pub private_key: Zeroizing<String>,
    /// PEM: the certificate, followed by the Edge CA's and those above it.
    pub certificate: String,
    pub not_after: Timestamp,
}

impl std::fmt::Debug for ModuleCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModuleCertificate(until {:?}, redacted)", self.not_after)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ModuleCertificateError {
    /// What the module asks for cannot be in a certificate.
    #[error("{0}")]
    Asked(String),
    #[error("the certificate of the module is not issued")]
    Issue(#[from] IssueError),
    #[error("the key of the module is not made")]
    Key(#[from] KeyError),
}

/// A certificate for a server: a DNS name or an address, and the name of the module.
pub fn server(
    ca: &OpenCa,
    module: &ModuleId,
    common_name: &str,
    expiration: Option<Timestamp>,
    now: Timestamp,
) -> Result<ModuleCertificate, ModuleCertificateError> {
    let asked = |error: IssueError| ModuleCertificateError::Asked(error.to_string());
    let mut names = vec![ServerName::parse(common_name).map_err(asked)?];
    let own = module.as_str().trim_start_matches('$');
    if let Ok(own @ ServerName::Dns(_)) = ServerName::parse(own)
        && !names.contains(&own)
    {
        names.push(own);
    }
    // A host name may be longer than a common name. Clients read the subjectAltName.
    let subject = Subject::common_name(common_name)
        .or_else(|_| Subject::common_name(own))
        .map_err(asked)?;
    issue(ca, Profile::Server { names }, &subject, expiration, now)
}

/// A certificate that names a module of this device.
pub fn identity(
    ca: &OpenCa,
    (hub, device, module): (&HubHost, &DeviceId, &ModuleId),
    expiration: Option<Timestamp>,
    now: Timestamp,
) -> Result<ModuleCertificate, ModuleCertificateError> {
    let asked = |error: IssueError| ModuleCertificateError::Asked(error.to_string());
    let subject = Subject::common_name(module.as_str()).map_err(asked)?;
    let uri = format!("azureiot://{hub}/devices/{device}/modules/{module}");
    issue(ca, Profile::Module { uri }, &subject, expiration, now)
}

fn issue(
    ca: &OpenCa,
    profile: Profile,
    subject: &Subject,
    expiration: Option<Timestamp>,
    now: Timestamp,
) -> Result<ModuleCertificate, ModuleCertificateError> {
    let lifetime = match expiration {
        Some(until) if until <= now => {
            let problem = "expiration is over already".to_owned();
            return Err(ModuleCertificateError::Asked(problem));
        }
        Some(until) => until.since(now),
        None => USUAL_LIFETIME,
    };
    let key = PrivateKey::generate(KEY_TYPE)?;
    let serial = Serial::random()?;
    let validity = Validity::UpTo(lifetime);
    let prepared = prepare(profile, subject, Some(&ca.issuer), validity, serial, now)?;
    let leaf = prepared.lint().map_err(IssueError::from)?.sign(&key)?;
    Ok(ModuleCertificate {
        private_key: key.to_pem(),
        certificate: leaf.to_pem() + &pem(&ca.chain),
        not_after: leaf.not_after(),
    })
}

#[cfg(test)]
mod tests {
    use pki::{Certificate, Issuer};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn edge_ca() -> OpenCa {
        let key = PrivateKey::generate(KeyType::Ec).unwrap();
        let subject = Subject::common_name("aziot-edge CA press-7").unwrap();
        let serial = Serial::random().unwrap();
        let validity = Validity::UpTo(DAY * 90);
        let prepared = prepare(Profile::EdgeCa, &subject, None, validity, serial, NOW).unwrap();
        let ca = prepared.lint().unwrap().sign(&key).unwrap();
        OpenCa {
            issuer: Issuer::new(ca.clone(), key).unwrap(),
            chain: vec![ca],
        }
    }

    fn module(name: &str) -> ModuleId {
        ModuleId::parse(name).unwrap()
    }

    #[test]
    fn a_server_gets_its_names_and_the_time_that_it_asks_for() {
        let ca = edge_ca();
        let until = NOW.plus(DAY * 60);
        for (name, module_name, names) in [
            (
                "press-7.local",
                "$edgeHub",
                vec!["press-7.local", "edgehub"],
            ),
            ("10.0.0.1", "opc_ua", vec!["10.0.0.1", "opc_ua"]),
            ("hub", "hub", vec!["hub"]),
        ] {
            let made = server(&ca, &module(module_name), name, Some(until), NOW).unwrap();
            let chain = Certificate::parse_pem_bundle(&made.certificate).unwrap();
            let found = chain[0].server_names();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, names);
            assert_eq!((chain[0].not_after(), made.not_after), (until, until));
            assert!(chain[0].is_signed_by(&chain[1]));
            let key = PrivateKey::from_pem(&made.private_key, None).unwrap();
            assert!(key.matches(&chain[0]).is_ok());
        }
    }

    /// Scar 20: a longer name was cut off.
    #[test]
    fn a_long_host_name_stands_where_clients_read_it() {
        let ca = edge_ca();
        let long = format!("{}.example", "a".repeat(60));
        let made = server(&ca, &module("$edgeHub"), &long, None, NOW).unwrap();
        let chain = Certificate::parse_pem_bundle(&made.certificate).unwrap();
        assert_eq!(chain[0].subject(), "CN=edgeHub");
        assert_eq!(chain[0].server_names()[0].to_string(), long);
        assert_eq!(made.not_after, NOW.plus(USUAL_LIFETIME));
    }

    #[test]
    fn what_no_certificate_can_have_is_refused_and_nothing_outlives_the_ca() {
        let ca = edge_ca();
        let hub = module("$edgeHub");
        for (name, until) in [("a b", None), ("", None), ("a", Some(NOW))] {
            let refused = server(&ca, &hub, name, until, NOW);
            assert!(
                matches!(refused, Err(ModuleCertificateError::Asked(_))),
                "{name}"
            );
        }
        let made = server(&ca, &hub, "a", Some(NOW.plus(DAY * 400)), NOW).unwrap();
        assert_eq!(made.not_after, NOW.plus(DAY * 90));
    }

    #[test]
    fn an_identity_names_hub_device_and_module() {
        let ca = edge_ca();
        let hub = HubHost::parse("hub.example").unwrap();
        let device = DeviceId::parse("press-7").unwrap();
        let made = identity(&ca, (&hub, &device, &module("opc")), None, NOW).unwrap();
        let chain = Certificate::parse_pem_bundle(&made.certificate).unwrap();
        assert_eq!(chain[0].subject(), "CN=opc");
        let uri = b"azureiot://hub.example/devices/press-7/modules/opc";
        assert!(chain[0].der().windows(uri.len()).any(|part| part == uri));
    }
}
