//! How commands reach the TPM.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

const DEVICE: &str = "/dev/tpmrm0";
const SWTPM_HOST: &str = "localhost";
const SWTPM_PORT: u16 = 2321;

/// The way to the TPM, in the words of tpm2-tools and of Azure's `tpm.tcti`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tcti {
    /// A character device. With the kernel's resource manager, `/dev/tpmrm0`, others may use the
    /// TPM at the same time.
    Device(PathBuf),
    /// A software TPM on a TCP port.
    SwtpmTcp { host: String, port: u16 },
    /// A software TPM on a unix socket.
    SwtpmUnix(PathBuf),
}

/// Why a text is not a TCTI that is offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TctiError {
    #[error(
        "{0:?} is not a way to a TPM; write device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321 or \
         swtpm:path=/run/swtpm.sock"
    )]
    Unknown(String),
    #[error(
        "tabrmd, the broker on D-Bus, is not offered; the resource manager of the kernel does the \
         same: write device:/dev/tpmrm0"
    )]
    Broker,
    #[error(
        "mssim, the simulator of the TPM specification, is not offered; write swtpm:host=…,port=… \
         for swtpm, or device:/dev/tpmrm0"
    )]
    Simulator,
    #[error("{0:?} is not an option of swtpm: host=NAME, port=NUMBER and path=/SOCKET are")]
    Option(String),
    #[error("swtpm takes either path or host and port, not both")]
    PathAndHost,
    #[error("{0:?} has to be an absolute path")]
    Relative(String),
}

impl Default for Tcti {
    fn default() -> Self {
        Self::Device(DEVICE.into())
    }
}

impl FromStr for Tcti {
    type Err = TctiError;

    fn from_str(text: &str) -> Result<Self, TctiError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "device" | "" if rest.is_empty() => Ok(Self::default()),
            "device" => absolute(rest).map(Self::Device),
            "swtpm" => swtpm(rest),
            "tabrmd" => Err(TctiError::Broker),
            "mssim" => Err(TctiError::Simulator),
            _ => Err(TctiError::Unknown(text.to_owned())),
        }
    }
}

fn absolute(path: &str) -> Result<PathBuf, TctiError> {
    match path.starts_with('/') {
        true => Ok(path.into()),
        false => Err(TctiError::Relative(path.to_owned())),
    }
}

fn swtpm(options: &str) -> Result<Tcti, TctiError> {
    let (mut host, mut port, mut path) = (None, None, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let unknown = || TctiError::Option(option.to_owned());
        match option.split_once('=') {
            Some(("host", value)) if !value.is_empty() => host = Some(value.to_owned()),
            Some(("port", value)) => match value.parse() {
                Ok(0) | Err(_) => return Err(unknown()),
                Ok(number) => port = Some(number),
            },
            Some(("path", value)) => path = Some(absolute(value)?),
            _ => return Err(unknown()),
        }
    }
    match (path, host, port) {
        (Some(path), None, None) => Ok(Tcti::SwtpmUnix(path)),
        (Some(_), _, _) => Err(TctiError::PathAndHost),
        (None, host, port) => Ok(Tcti::SwtpmTcp {
            host: host.unwrap_or_else(|| SWTPM_HOST.to_owned()),
            port: port.unwrap_or(SWTPM_PORT),
        }),
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::SwtpmTcp { host, port } => write!(f, "swtpm:host={host},port={port}"),
            Self::SwtpmUnix(path) => write!(f, "swtpm:path={}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_read_as_tpm2_tools_write_them() {
        let tcp = |host: &str, port| Tcti::SwtpmTcp {
            host: host.to_owned(),
            port,
        };
        for (text, expected) in [
            ("", Tcti::Device("/dev/tpmrm0".into())),
            ("device", Tcti::Device("/dev/tpmrm0".into())),
            ("device:", Tcti::Device("/dev/tpmrm0".into())),
            ("device:/dev/tpm0", Tcti::Device("/dev/tpm0".into())),
            ("swtpm", tcp("localhost", 2321)),
            ("swtpm:port=7", tcp("localhost", 7)),
            ("swtpm:host=tpm.local,port=2322", tcp("tpm.local", 2322)),
            (
                "swtpm:path=/run/a.sock",
                Tcti::SwtpmUnix("/run/a.sock".into()),
            ),
        ] {
            assert_eq!(text.parse::<Tcti>().as_ref(), Ok(&expected), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_offered_says_what_is() {
        for (text, wanted) in [
            (
                "tabrmd:bus_name=com.intel.tss2.Tabrmd",
                "device:/dev/tpmrm0",
            ),
            ("mssim:host=a", "swtpm:host="),
            ("libtpms", "device:/dev/tpmrm0"),
            ("/dev/tpm0", "device:/dev/tpmrm0"),
            ("device:dev/tpm0", "absolute"),
            ("swtpm:port=70000", "port=NUMBER"),
            ("swtpm:port=0", "port=NUMBER"),
            ("swtpm:host=", "host=NAME"),
            ("swtpm:path=/a,port=1", "not both"),
        ] {
            let error = text.parse::<Tcti>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_is_read(text in "(device|swtpm)(:[a-z=,/0-9]{0,24})?") {
            if let Ok(tcti) = text.parse::<Tcti>() {
                prop_assert_eq!(tcti.to_string().parse(), Ok(tcti));
            }
        }
    }
}
