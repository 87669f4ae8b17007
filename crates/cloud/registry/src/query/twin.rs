//! Paths into twins, as the service API shows them.

use ids::Timestamp;
use serde_json::{Map, Value as Json, json};
use store::{AuthKind, IdentityRow, Secret, StoreError, TwinRow, View};

use super::ast::{Path, Segment};
use super::evaluate::Scope;
use super::needs::Needs;
use super::value::Value;
use crate::etag;
use crate::rows;

/// What is known of the connections of a device or module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub connected: bool,
    pub last_activity: Timestamp,
    /// The Plug and Play model that it announced; empty when it announced none.
    pub model_id: String,
    /// Cloud-to-device messages that wait for it.
    pub pending_messages: u64,
}

/// A twin with those of its parts that a query needs.
pub(crate) struct TwinDocument<'a> {
    row: &'a IdentityRow,
    twin: &'a TwinRow,
    /// Whether the device is enabled: the module's device, of modules.
    enabled: bool,
    connection: Option<Connection>,
    tags: Map<String, Json>,
    desired: Section,
    reported: Section,
    configurations: Map<String, Json>,
}

struct Section {
    document: Map<String, Json>,
    metadata: Map<String, Json>,
    version: u64,
}

impl<'a> TwinDocument<'a> {
    /// Parses what is needed; fails when it cannot be read.
    pub(crate) fn read(
        view: &View<'_>,
        (row, twin): (&'a IdentityRow, &'a TwinRow),
        needs: Needs,
        enabled: bool,
        connection: Option<Connection>,
    ) -> Result<Self, StoreError> {
        rows::require_read(view, twin)?;
        let (desired, reported) = match needs.parts.metadata {
            true => {
                let whole = rows::twin(view, twin)?;
                (whole.desired.into(), whole.reported.into())
            }
            false => (
                section(
                    view,
                    "desired",
                    twin.desired.as_deref(),
                    twin.desired_version,
                )?,
                section(
                    view,
                    "reported",
                    twin.reported.as_deref(),
                    twin.reported_version,
                )?,
            ),
        };
        Ok(Self {
            row,
            twin,
            enabled,
            connection,
            tags: rows::document(view, "tags", twin.tags.as_deref())?,
            desired,
            reported,
            configurations: rows::document(view, "configurations", twin.configurations.as_deref())?,
        })
    }

    /// The attributes that are no documents.
    fn attribute(&self, name: &str) -> Value<'_> {
        let device = self.row.module_id.is_none();
        let text = |text: &'a Option<String>| text.as_deref().map_or(Value::Undefined, Value::from);
        match name {
            "deviceId" => self.row.device_id.as_str().into(),
            "moduleId" => match &self.row.module_id {
                Some(module) => module.as_str().into(),
                None => Value::Undefined,
            },
            "etag" => owned(etag::of_twin(self.twin.version)),
            "deviceEtag" => owned(etag::of_revision(self.row.revision)),
            "version" => number(self.twin.version),
            "status" => match self.enabled {
                true => "enabled".into(),
                false => "disabled".into(),
            },
            "statusReason" if device => text(&self.row.status_reason),
            "statusUpdateTime" => owned(match device {
                true => Timestamp::from_ticks(self.row.status_updated),
                false => Timestamp::NEVER,
            }),
            "authenticationType" => self.row.auth_kind.name().into(),
            "deviceScope" if device => text(&self.row.device_scope),
            "connectionState" => self.connected(),
            "lastActivityTime" => self.seen(|seen| owned(seen.last_activity)),
            "modelId" => self.seen(|seen| owned(&seen.model_id)),
            "cloudToDeviceMessageCount" => self.seen(|seen| number(seen.pending_messages)),
            _ => Value::Undefined,
        }
    }

    fn connected(&self) -> Value<'_> {
        self.seen(|seen| match seen.connected {
            true => "Connected".into(),
            false => "Disconnected".into(),
        })
    }

    fn seen(&self, show: impl FnOnce(&Connection) -> Value<'static>) -> Value<'_> {
        self.connection.as_ref().map_or(Value::Undefined, show)
    }

    /// The attributes that are documents made on the way.
    fn composite(&self, name: &str) -> Option<Json> {
        let device = self.row.module_id.is_none();
        match name {
            "capabilities" if device => Some(json!({"iotEdge": self.row.iot_edge})),
            "parentScopes" if device => {
                let scopes = self.row.parent_scopes.as_deref()?;
                serde_json::from_str(scopes).ok()
            }
            "x509Thumbprint" => {
                let pinned = self.row.auth_kind == AuthKind::SelfSigned;
                let thumbprint = |one: &Option<Secret>| {
                    let one = one.as_ref().filter(|_| pinned);
                    one.map_or(Json::Null, |one| one.reveal().into())
                };
                Some(json!({
                    "primaryThumbprint": thumbprint(&self.row.auth_primary),
                    "secondaryThumbprint": thumbprint(&self.row.auth_secondary),
                }))
            }
            "configurations" if !self.configurations.is_empty() => {
                let status =
                    |(id, status): (&String, &Json)| (id.clone(), json!({"status": status}));
                Some(Json::Object(
                    self.configurations.iter().map(status).collect(),
                ))
            }
            "properties" => Some(json!({
                "desired": self.desired.whole(), "reported": self.reported.whole(),
            })),
            "tags" if !self.tags.is_empty() => Some(Json::Object(self.tags.clone())),
            _ => None,
        }
    }
}

impl Scope for TwinDocument<'_> {
    fn resolve<'a>(&'a self, path: &Path) -> Value<'a> {
        let rest = &path.segments[1..];
        match (path.root(), rest) {
            (name, []) => match self.composite(name) {
                Some(whole) => whole.into(),
                None => self.attribute(name),
            },
            ("tags", rest) => member(&self.tags, rest).into(),
            ("properties", [Segment::Name(half), rest @ ..]) => match half.as_str() {
                "desired" => self.desired.resolve(rest),
                "reported" => self.reported.resolve(rest),
                _ => Value::Undefined,
            },
            (name, rest) => {
                let whole = self.composite(name);
                let found = whole.as_ref().and_then(|whole| Path::find(rest, whole));
                found.cloned().map_or(Value::Undefined, Value::from)
            }
        }
    }
}

impl Section {
    fn whole(&self) -> Json {
        let mut all = self.document.clone();
        all.insert("$metadata".to_owned(), Json::Object(self.metadata.clone()));
        all.insert("$version".to_owned(), self.version.into());
        Json::Object(all)
    }

    fn resolve(&self, segments: &[Segment]) -> Value<'_> {
        match segments {
            [] => self.whole().into(),
            [Segment::Name(name)] if name == "$version" => number(self.version),
            [Segment::Name(name)] if name == "$metadata" => {
                Json::Object(self.metadata.clone()).into()
            }
            [Segment::Name(name), rest @ ..] if name == "$metadata" => {
                member(&self.metadata, rest).into()
            }
            segments => member(&self.document, segments).into(),
        }
    }
}

impl From<crate::twin::Section> for Section {
    fn from(section: crate::twin::Section) -> Self {
        Self {
            document: section.document,
            metadata: section.metadata,
            version: section.version,
        }
    }
}

/// A section without its metadata.
fn section(
    view: &View<'_>,
    column: &str,
    text: Option<&str>,
    version: u64,
) -> Result<Section, StoreError> {
    Ok(Section {
        document: rows::document(view, column, text)?,
        metadata: Map::new(),
        version,
    })
}

fn member<'a>(document: &'a Map<String, Json>, segments: &[Segment]) -> Option<&'a Json> {
    match segments {
        [Segment::Name(first), rest @ ..] => Path::find(rest, document.get(first)?),
        _ => None,
    }
}

fn owned<'a>(text: impl std::fmt::Display) -> Value<'a> {
    Value::Text(text.to_string().into())
}

#[expect(clippy::cast_precision_loss, reason = "counters stay below 2^53")]
fn number<'a>(count: u64) -> Value<'a> {
    Value::Number(count as f64)
}
