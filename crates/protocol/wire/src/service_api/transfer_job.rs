//! Imports and exports of device identities: `POST /jobs/create`.

use ids::{JobId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::job::JobType;
use crate::file_upload::BlobName;
use crate::lenient::{BodyError, Fields};

/// The first segment of the paths of containers.
pub const TRANSFERS: &str = "transfers";
/// The blob of the devices, when a request names none.
const DEVICES: &str = "devices.txt";
/// The blob of what an import could not do.
pub const IMPORT_ERRORS: &str = "importErrors.log";

/// A folder for the files of imports and exports, named by its address:
/// `https://HOST/transfers/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The host of the address, a hub; with its port, if it has one.
    pub host: String,
    /// 3 to 63 lower-case letters, digits and hyphens, as in Azure.
    pub name: String,
}

impl Container {
    /// Reads an address. A query string, which has a token in Azure, is not looked at.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(address: &str) -> Result<Self, &'static str> {
        const FORM: &str = "has to be https://HOST/transfers/NAME";
        const NAME: &str =
            "ends with a name that is not 3 to 63 lower-case letters, digits and hyphens";
        let address = address.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = address.split_once("://").ok_or(FORM)?;
        let (host, path) = rest.split_once('/').ok_or(FORM)?;
        let (first, name) = path.trim_end_matches('/').split_once('/').ok_or(FORM)?;
        if !scheme.eq_ignore_ascii_case("https") || host.is_empty() || first != TRANSFERS {
            return Err(FORM);
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (3..=63).contains(&name.len()) && name.chars().all(allowed);
        match fits && !name.starts_with('-') && !name.ends_with('-') {
            true => Ok(Self {
                host: host.to_owned(),
                name: name.to_owned(),
            }),
            false => Err(NAME),
        }
    }

    /// The address, without a query string.
    #[must_use]
    pub fn address(&self) -> String {
        format!("https://{}/{TRANSFERS}/{}", self.host, self.name)
    }
}

/// What a job does with a file of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// Every line of a file is carried out.
    Import {
        /// Where the file is.
        input: Container,
        /// The file.
        blob: BlobName,
        /// Where `importErrors.log` goes.
        output: Container,
    },
    /// Every device and module becomes a line of a file.
    Export {
        /// Where the file goes.
        output: Container,
        /// The file.
        blob: BlobName,
        /// Whether keys are left out.
        exclude_keys: bool,
    },
}

impl Transfer {
    /// Reads the body of a request, or what [`to_json`](Self::to_json) made of one.
    ///
    /// # Errors
    /// When a member is absent, is not what it should be, or asks for what is not offered.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        refuse_not_offered(&fields)?;
        let container = |name: &'static str| {
            let text = fields.text(name)?.filter(|text| !text.is_empty());
            let read = text.map(Container::parse).transpose();
            read.map_err(|problem| fields.error(name, problem))
        };
        let required = |name: &'static str| {
            container(name)?.ok_or_else(|| fields.error(name, "it is required"))
        };
        let blob = |name: &'static str| {
            let text = fields.text(name)?.filter(|text| !text.is_empty());
            let read = BlobName::parse(text.unwrap_or(DEVICES));
            read.map_err(|problem| fields.error(name, problem))
        };
        match JobType::parse(fields.text("type")?.unwrap_or_default()) {
            Some(JobType::Import) => {
                let input = required("inputBlobContainerUri")?;
                Ok(Self::Import {
                    output: container("outputBlobContainerUri")?.unwrap_or_else(|| input.clone()),
                    input,
                    blob: blob("inputBlobName")?,
                })
            }
            Some(JobType::Export) => Ok(Self::Export {
                output: required("outputBlobContainerUri")?,
                blob: blob("outputBlobName")?,
                exclude_keys: fields.boolean("excludeKeysInExport")?.unwrap_or(false),
            }),
            _ => Err(fields.error("type", "import or export was expected")),
        }
    }

    /// The members of a request for it.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let members = match self {
            Self::Import {
                input,
                blob,
                output,
            } => json!({
                "type": JobType::Import,
                "inputBlobContainerUri": input.address(),
                "inputBlobName": blob.as_str(),
                "outputBlobContainerUri": output.address(),
            }),
            Self::Export {
                output,
                blob,
                exclude_keys,
            } => json!({
                "type": JobType::Export,
                "outputBlobContainerUri": output.address(),
                "outputBlobName": blob.as_str(),
                "excludeKeysInExport": exclude_keys,
            }),
        };
        match members {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }

    /// The containers that it reads and writes.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        let (first, second) = match self {
            Self::Import { input, output, .. } => (input, Some(output)),
            Self::Export { output, .. } => (output, None),
        };
        std::iter::once(first).chain(second)
    }
}

/// An option that would be accepted and not obeyed is an error.
fn refuse_not_offered(fields: &Fields<'_>) -> Result<(), BodyError> {
    if fields.boolean("includeConfigurations")? == Some(true) {
        let problem = "configurations are not part of imports and exports here";
        return Err(fields.error("includeConfigurations", problem));
    }
    let kind = fields.text("storageAuthenticationType")?;
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("identityBased")) {
        let problem = "containers are folders of the server; they have no managed identities";
        return Err(fields.error("storageAuthenticationType", problem));
    }
    Ok(())
}

/// `status` of an import or export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TransferStatus {
    /// Others go first.
    Enqueued,
    /// It is at work.
    Running,
    /// Every line is done; what could not be done is in `importErrors.log`.
    Completed,
    /// It could not go on.
    Failed,
    /// An operator ended it.
    Cancelled,
}

/// An import or export as `/jobs` answers.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferResponse {
    /// Made by the hub.
    pub job_id: JobId,
    /// When it was created.
    pub start_time_utc: Timestamp,
    /// When it ended.
    pub end_time_utc: Option<Timestamp>,
    /// How it is.
    pub status: TransferStatus,
    /// Percent.
    pub progress: u8,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The members of its request.
    #[serde(flatten)]
    pub request: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_a_name_at_a_host() {
        let container = Container::parse("https://h:8443/transfers/my-1/?sv=1&sig=x").unwrap();
        assert_eq!((&*container.host, &*container.name), ("h:8443", "my-1"));
        assert_eq!(container.address(), "https://h:8443/transfers/my-1");
        for bad in [
            "",
            "transfers/abc",
            "http://h/transfers/abc",
            "https://h/other/abc",
            "https:///transfers/abc",
            "https://h/transfers",
            "https://h/transfers/ab",
            "https://h/transfers/../abc",
            "https://h/transfers/a/b",
            "https://h/transfers/ABC",
            "https://h/transfers/-abc",
            "file:///etc/passwd",
        ] {
            assert!(Container::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_of_the_sdks_are_read() {
        let uri = "https://h/transfers/abc";
        let import = json!({"type": "import", "inputBlobContainerUri": uri,
            "outputBlobContainerUri": "https://h/transfers/errors?sig=x"});
        let read = Transfer::parse(&import).unwrap();
        let Transfer::Import { blob, output, .. } = &read else {
            panic!("{read:?}");
        };
        assert_eq!((blob.as_str(), &*output.name), ("devices.txt", "errors"));
        assert_eq!(Transfer::parse(&read.to_json().into()).unwrap(), read);
        let export = json!({"type": "Export", "outputBlobContainerUri": uri,
            "outputBlobName": "a/b.txt", "excludeKeysInExport": true, "jobId": null,
            "storageAuthenticationType": "keyBased", "includeConfigurations": false});
        let read = Transfer::parse(&export).unwrap();
        assert_eq!(Transfer::parse(&read.to_json().into()).unwrap(), read);
        for (member, value) in [
            ("type", json!("scheduleUpdateTwin")),
            ("outputBlobContainerUri", json!("https://account.blob/abc")),
            ("outputBlobName", json!("../a")),
            ("includeConfigurations", json!(true)),
            ("storageAuthenticationType", json!("identityBased")),
        ] {
            let mut request = export.clone();
            request[member] = value;
            assert_eq!(Transfer::parse(&request).unwrap_err().path, member);
        }
    }
}
