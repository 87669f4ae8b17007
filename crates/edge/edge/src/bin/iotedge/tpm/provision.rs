//! `iotedge tpm provision`: from a TPM to a device that registers, in steps that may be repeated.

mod certificate;
mod configuration;
mod genuineness;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use device::est::{EstPassword, EstServer};
use device::{Identity, Trust};
use ids::{HubHost, IdScope, RegistrationId};
use pki::{Certificate, Signer, Subject};
use tpm::{KeyPlace, Tpm};

use self::certificate::Enrollment;
use self::report::{Done, Outcome, Report, Step};
use super::At;
use super::create_key::{Kind, handle};
use super::show::registration_id;
use crate::Device;

/// `iotedge tpm provision`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  iotedge tpm provision --est https://est.example/.well-known/est \
                        --scope 0ne0012AB34 --est-user line-1 --est-password-file ./password\n\n\
                        Exit codes: 0 all steps are done; 11 TPM, 12 genuineness, 13 IDevID key, \
                        14 IDevID certificate, 15 LDevID key, 16 LDevID certificate, \
                        17 config.toml, 18 apply: the step that failed. What is done stays done: \
                        run the command again."
)]
pub struct Provision {
    #[command(flatten)]
    at: At,
    /// The EST server of the owner. It issues the device's certificate (LDevID).
    #[arg(long, value_name = "URL", value_parser = parse_est)]
    est: EstServer,
    /// The ID scope of the provisioning service.
    #[arg(long, value_name = "ID_SCOPE", value_parser = parse_scope)]
    scope: IdScope,
    /// The provisioning service.
    #[arg(
        long,
        value_name = "HOST",
        value_parser = parse_host,
        default_value = "global.azure-devices-provisioning.net"
    )]
    endpoint: HubHost,
    /// The registration id, which is the common name of the certificates; SHA-256 of the
    /// endorsement key when it is not given.
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    name: Option<RegistrationId>,
    /// The EST server of the maker. It issues the first certificate (IDevID); --est when it is
    /// not given.
    #[arg(long, value_name = "URL", value_parser = parse_est)]
    idevid_est: Option<EstServer>,
    /// The user of the owner's EST server.
    #[arg(long, value_name = "USER", requires = "est_password_file")]
    est_user: Option<String>,
    /// A file with that user's password.
    #[arg(long, value_name = "FILE", requires = "est_user")]
    est_password_file: Option<PathBuf>,
    /// The user of the maker's EST server.
    #[arg(long, value_name = "USER", requires_all = ["idevid_est", "idevid_est_password_file"])]
    idevid_est_user: Option<String>,
    /// A file with that user's password.
    #[arg(long, value_name = "FILE", requires = "idevid_est_user")]
    idevid_est_password_file: Option<PathBuf>,
    /// CA certificates of servers, PEM, beside those of the system; becomes trust_bundle_cert.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// CA certificates of TPM vendors, PEM. Without them the TPM is not verified to be genuine.
    #[arg(long, value_name = "FILE")]
    endorsement_roots: Option<PathBuf>,
    /// The kind of keys.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Where the key of the first certificate is kept.
    #[arg(long, value_name = "HANDLE", value_parser = handle, default_value = "0x81020000")]
    idevid_handle: u32,
    /// Where the key of the device's certificate is kept.
    #[arg(long, value_name = "HANDLE", value_parser = handle, default_value = "0x81000002")]
    ldevid_handle: u32,
    /// Replace a config.toml that this command has not written. What is replaced is kept as
    /// config.toml.before.
    #[arg(long)]
    force: bool,
}

/// Over http everybody on the way reads the password.
fn parse_est(url: &str) -> Result<EstServer, String> {
    let server = EstServer::parse(url).map_err(|error| error.to_string())?;
    match server.is_https() {
        true => Ok(server),
        false => Err("it has to begin with https://".to_owned()),
    }
}

fn parse_scope(text: &str) -> Result<IdScope, String> {
    IdScope::parse(text).map_err(|error| error.to_string())
}

fn parse_host(text: &str) -> Result<HubHost, String> {
    HubHost::parse(text).map_err(|error| error.to_string())
}

fn parse_id(text: &str) -> Result<RegistrationId, String> {
    RegistrationId::parse(text).map_err(|error| error.to_string())
}

impl Provision {
    pub async fn run(&self, device: &Device) -> anyhow::Result<ExitCode> {
        let mut report = Report::new(device.output);
        let failed = self.steps(device, &mut report).await.err();
        report.print()?;
        Ok(failed.map_or(ExitCode::SUCCESS, Step::exit_code))
    }

    async fn steps(&self, device: &Device, report: &mut Report) -> Result<(), Step> {
        let tpm = self.at.tpm(device);
        let name = report.note(Step::Tpm, self.find(&tpm))?;
        report.note(
            Step::Genuineness,
            genuineness::verify(&tpm, self.endorsement_roots.as_deref()),
        )?;
        let folder = device.paths.root().join("etc/aziot/certificates");
        if self.idevid_handle == self.ldevid_handle {
            let same = anyhow!("--idevid-handle and --ldevid-handle are the same");
            report.note::<()>(Step::IdevidKey, Err(same))?;
        }
        let key = report.note(Step::IdevidKey, self.key(&tpm, self.idevid_handle))?;
        let enrollment = self.enrollment(&name, &key, None);
        let idevid = report.note(
            Step::IdevidCertificate,
            certificate::hold(&folder.join("idevid.cert.pem"), enrollment).await,
        )?;
        let idevid = Identity::new(&idevid, &key).map_err(anyhow::Error::from);
        let key = report.note(Step::LdevidKey, self.key(&tpm, self.ldevid_handle))?;
        let enrollment = idevid.and_then(|idevid| self.enrollment(&name, &key, Some(idevid)));
        let ldevid = folder.join("ldevid.cert.pem");
        report.note(
            Step::LdevidCertificate,
            certificate::hold(&ldevid, enrollment).await,
        )?;
        report.note(
            Step::Configuration,
            self.configure(device, &name, &ldevid, &tpm),
        )?;
        report.note(Step::Apply, configuration::apply(device).await)?;
        Ok(())
    }

    /// Reaches the TPM, and names the device.
    fn find(&self, tpm: &Tpm) -> anyhow::Result<(RegistrationId, Done)> {
        let about = tpm.about()?;
        let endorsement = tpm.endorsement_key()?;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => RegistrationId::parse(&registration_id(&endorsement))?,
        };
        let text = format!("{about} at {}; the device is {name}", tpm.settings().tcti);
        Ok((name, Done::Already(text)))
    }

    /// The key at a handle; it is made if nothing is there. Another kind than is asked for, or a
    /// key that others may have too, is refused.
    fn key(&self, tpm: &Tpm, handle: u32) -> anyhow::Result<(Signer, Done)> {
        let is_there = tpm.has_key(handle)?;
        if !is_there {
            let key = tpm.create_key(self.kind.into())?;
            tpm.persist_key(&key, handle)?;
        }
        let key = tpm.signing_key(KeyPlace::Persistent(handle))?;
        let (there, wanted) = (key.public_key().kind(), self.kind.algorithm());
        if there != wanted {
            let (there, wanted) = (there.name(), wanted.name());
            bail!("the key at {handle:#010x} is a {there} key, not a {wanted} key as --kind says");
        }
        if !key.is_bound_to_tpm() {
            bail!("the key at {handle:#010x} was not made in this TPM, or may leave it");
        }
        let text = format!("a {} key at {handle:#010x}", there.name());
        let done = match is_there {
            true => Done::Already(text),
            false => Done::Now(text),
        };
        Ok((key.into_signer(), done))
    }

    /// The EST server, its user and the file of the password. None of them is for the other server.
    fn access(&self, is_first: bool) -> (&EstServer, Option<&str>, Option<&Path>) {
        let (server, user, file) = match &self.idevid_est {
            Some(maker) if is_first => {
                (maker, &self.idevid_est_user, &self.idevid_est_password_file)
            }
            _ => (&self.est, &self.est_user, &self.est_password_file),
        };
        (server, user.as_deref(), file.as_deref())
    }

    /// How a certificate is got: the first from the maker, with a password; the device's own from
    /// the owner, with the first.
    fn enrollment(
        &self,
        name: &RegistrationId,
        key: &Signer,
        idevid: Option<Identity>,
    ) -> anyhow::Result<Enrollment> {
        let (server, user, file) = self.access(idevid.is_none());
        Ok(Enrollment {
            server: server.clone(),
            trust: self.trust()?,
            identity: idevid,
            password: password(user, file)?,
            subject: Subject::registration(name)?,
            key: key.clone(),
        })
    }

    fn trust(&self) -> anyhow::Result<Trust> {
        let extra = match &self.trust {
            Some(path) => read_certificates(path)?,
            None => Vec::new(),
        };
        Ok(Trust::native_and(&extra)?)
    }

    fn configure(
        &self,
        device: &Device,
        name: &RegistrationId,
        certificate: &Path,
        tpm: &Tpm,
    ) -> Outcome<()> {
        let trust = self.trust.as_ref().map(std::path::absolute).transpose()?;
        let content = configuration::Content {
            endpoint: &self.endpoint,
            scope: &self.scope,
            name,
            certificate,
            key: self.ldevid_handle,
            trust: trust.as_deref(),
            tpm: tpm.settings(),
        };
        configuration::write(device, &content, self.force)
    }
}

fn password(user: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<EstPassword>> {
    let (Some(username), Some(path)) = (user, file) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let password = text.trim_end_matches(['\n', '\r']).to_owned();
    if password.is_empty() {
        bail!("{} is empty", path.display());
    }
    Ok(Some(EstPassword {
        username: username.to_owned(),
        password,
    }))
}

fn read_certificates(path: &Path) -> anyhow::Result<Vec<Certificate>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Certificate::read_all(&bytes).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_for_one_server_and_never_go_in_the_clear() {
        use clap::{Args, FromArgMatches};
        let parse = |more: &str| {
            let line = format!("provision --scope 0ne0012AB34 {more}");
            let command = Provision::augment_args(clap::Command::new("provision"));
            let matches = command.try_get_matches_from(line.split(' '));
            matches.and_then(|matches| Provision::from_arg_matches(&matches))
        };
        let owner = "--est https://owner.example --est-user o --est-password-file /o";
        for (more, is_good) in [
            (owner.to_owned(), true),
            (owner.replace("https", "http"), false),
            (format!("{owner} --idevid-est http://maker.example"), false),
            (
                format!("{owner} --idevid-est-user m --idevid-est-password-file /m"),
                false,
            ),
        ] {
            assert_eq!(parse(&more).is_ok(), is_good, "{more}");
        }
        let maker = "--idevid-est https://maker.example";
        let anonymous = parse(&format!("{owner} {maker}")).unwrap();
        assert_eq!(
            anonymous.access(true),
            (&parse_est("https://maker.example").unwrap(), None, None)
        );
        let user = "--idevid-est-user m --idevid-est-password-file /m";
        let known = parse(&format!("{owner} {maker} {user}")).unwrap();
        assert_eq!(known.access(true).1, Some("m"));
        assert_eq!(known.access(false).1, Some("o"));
        // The maker is the owner.
        assert_eq!(parse(owner).unwrap().access(true).1, Some("o"));
    }
}
