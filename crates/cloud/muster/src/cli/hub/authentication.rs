//! How a device or module proves who it is, as flags of `create` and `update`.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::service_client::{CommandError, Login};

/// `--auth-method`, in the words of `az iot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AuthMethod {
    /// Symmetric keys; the hub generates those that are not given.
    #[value(name = "shared_private_key", alias = "key")]
    SharedPrivateKey,
    /// A certificate that a CA of the hub's provisioning service has issued.
    #[value(name = "x509_ca")]
    X509Ca,
    /// A certificate with one of two thumbprints.
    #[value(name = "x509_thumbprint")]
    X509Thumbprint,
}

/// The flags of `create` and `update` that are about authentication.
#[derive(Debug, clap::Args)]
pub struct AuthenticationFlags {
    /// How the identity proves itself [default: shared_private_key, or what it has].
    #[arg(long, visible_alias = "am", value_enum)]
    auth_method: Option<AuthMethod>,
    /// The primary key, base64.
    #[arg(long, visible_alias = "pk")]
    primary_key: Option<Login>,
    /// The secondary key, base64.
    #[arg(long, visible_alias = "sk")]
    secondary_key: Option<Login>,
    /// The thumbprint of the primary certificate: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
    #[arg(long, visible_alias = "ptp")]
    primary_thumbprint: Option<String>,
    /// The thumbprint of the secondary certificate.
    #[arg(long, visible_alias = "stp")]
    secondary_thumbprint: Option<String>,
}

impl AuthenticationFlags {
    /// Changes the member `authentication` of an identity to what the flags say. Without a flag
    /// nothing changes; the hub generates keys for a new identity.
    pub fn write(&self, identity: &mut Value) -> Result<(), CommandError> {
        let Some(method) = self.method(identity)? else {
            return Ok(());
        };
        let authentication = &mut identity["authentication"];
        if authentication["type"] != method.wire() {
            *authentication = json!({ "type": method.wire() });
        }
        let (member, slots) = match method {
            AuthMethod::SharedPrivateKey => ("symmetricKey", self.keys()),
            AuthMethod::X509Thumbprint => ("x509Thumbprint", self.thumbprints()),
            AuthMethod::X509Ca => return Ok(()),
        };
        for (slot, text) in slots {
            if let Some(text) = text {
                authentication[member][slot] = json!(text);
            }
        }
        Ok(())
    }

    /// The method that the flags name or imply; `None` leaves all as it is.
    fn method(&self, identity: &Value) -> Result<Option<AuthMethod>, CommandError> {
        let is_given = |slots: Slots<'_>| slots.iter().any(|(_, text)| text.is_some());
        let (keys, thumbprints) = (is_given(self.keys()), is_given(self.thumbprints()));
        let implied = match (keys, thumbprints) {
            (true, true) => return Err(usage("keys and thumbprints exclude each other")),
            (true, false) => Some(AuthMethod::SharedPrivateKey),
            (false, true) => Some(AuthMethod::X509Thumbprint),
            (false, false) => None,
        };
        let method = self.auth_method.or(implied);
        let (stored, has_thumbprints) = {
            let stored = &identity["authentication"];
            let primary = &stored["x509Thumbprint"]["primaryThumbprint"];
            (stored["type"].as_str(), thumbprints || primary.is_string())
        };
        match method {
            Some(AuthMethod::X509Thumbprint) if !has_thumbprints => Err(usage(
                "--auth-method x509_thumbprint needs --primary-thumbprint; \
                 `openssl x509 -in FILE -noout -fingerprint -sha256` prints it",
            )),
            Some(method) if implied.is_some_and(|implied| implied != method) => Err(usage(
                "keys are of --auth-method shared_private_key, thumbprints of x509_thumbprint",
            )),
            Some(method)
                if self.auth_method.is_none() && stored.is_some_and(|is| is != method.wire()) =>
            {
                let stored = stored.unwrap_or_default();
                Err(CommandError::Usage(format!(
                    "its authentication is {stored}; give --auth-method to change that"
                )))
            }
            method => Ok(method),
        }
    }

    fn keys(&self) -> Slots<'_> {
        [
            ("primaryKey", self.primary_key.as_ref().map(Login::reveal)),
            (
                "secondaryKey",
                self.secondary_key.as_ref().map(Login::reveal),
            ),
        ]
    }

    fn thumbprints(&self) -> Slots<'_> {
        [
            ("primaryThumbprint", self.primary_thumbprint.as_deref()),
            ("secondaryThumbprint", self.secondary_thumbprint.as_deref()),
        ]
    }
}

/// Two members of an identity, and what the flags say of them.
type Slots<'a> = [(&'static str, Option<&'a str>); 2];

impl AuthMethod {
    /// The name that hubs have for it.
    fn wire(self) -> &'static str {
        match self {
            Self::SharedPrivateKey => "sas",
            Self::X509Ca => "certificateAuthority",
            Self::X509Thumbprint => "selfSigned",
        }
    }
}

fn usage(text: &str) -> CommandError {
    CommandError::Usage(text.to_owned())
}

/// The value of `If-Match`: the etag of the flag, or else that of the identity that was read.
pub fn if_match(flag: Option<String>, read: &Value) -> String {
    let read = read["etag"].as_str().unwrap_or("*").to_owned();
    format!("\"{}\"", flag.unwrap_or(read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        authentication: AuthenticationFlags,
    }

    fn written(line: &str, mut identity: Value) -> Result<Value, String> {
        let words = std::iter::once("test").chain(line.split_whitespace());
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        let written = command.authentication.write(&mut identity);
        written.map_err(|error| error.to_string())?;
        Ok(identity)
    }

    #[test]
    fn flags_say_or_imply_the_method() {
        let keyed = json!({"authentication": {"type": "sas", "symmetricKey":
            {"primaryKey": "a", "secondaryKey": "b"}}});
        let of = |authentication: Value| json!({ "authentication": authentication });
        let table = [
            ("", json!({}), json!({})),
            (
                "--am x509_ca",
                json!({}),
                of(json!({"type": "certificateAuthority"})),
            ),
            (
                "--am shared_private_key",
                json!({}),
                of(json!({"type": "sas"})),
            ),
            ("", keyed.clone(), keyed.clone()),
            (
                "--sk c",
                keyed.clone(),
                of(
                    json!({"type": "sas", "symmetricKey": {"primaryKey": "a", "secondaryKey": "c"}}),
                ),
            ),
            (
                "--am x509_thumbprint --ptp AB --stp CD",
                keyed,
                of(json!({"type": "selfSigned", "x509Thumbprint":
                    {"primaryThumbprint": "AB", "secondaryThumbprint": "CD"}})),
            ),
        ];
        for (line, before, after) in table {
            assert_eq!(written(line, before), Ok(after), "{line}");
        }
    }

    #[test]
    fn flags_that_exclude_each_other_are_refused() {
        for line in [
            "--am x509_thumbprint",
            "--am x509_ca --pk a",
            "--am x509_ca --ptp AB",
            "--am shared_private_key --ptp AB",
            "--pk a --ptp AB",
            "--am password",
        ] {
            assert!(written(line, json!({})).is_err(), "{line}");
        }
        // Flags that imply another method than the stored one do not change it by themselves.
        let with_ca = json!({"authentication": {"type": "certificateAuthority"}});
        for line in ["--pk a", "--ptp AB"] {
            assert!(written(line, with_ca.clone()).is_err(), "{line}");
        }
    }
}
