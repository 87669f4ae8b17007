//! `/muster/v1/dps/issuers/{name}/users`: users of EST, who prove themselves with a password.

use ids::{IssuerUserName, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::secret;
use crate::est::MAX_PASSWORD;
use crate::etag::QuotedEtag;
use crate::lenient::{BodyError, Fields};

/// Most uses of a user that are counted.
const MOST_USES: i64 = 1_000_000_000;

/// The body that creates a user, or resets its password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct IssuerUserRequest {
    /// `password`; absent has the server make one up.
    pub password: Option<Zeroizing<String>>,
    /// `uses`: how many certificates may be issued; absent means any number for a new user, and
    /// those that are left for one that is reset.
    pub uses: Option<u32>,
    /// `expires`, RFC 3339; absent means never for a new user, and as before for one that is reset.
    pub expires: Option<Timestamp>,
}

impl IssuerUserRequest {
    /// Reads the body, and moves the password out of it.
    pub fn parse(mut body: Value) -> Result<Self, BodyError> {
        let password = secret(&mut body, "password", MAX_PASSWORD)?;
        let fields = Fields::of_body(&body)?;
        let uses = fields.whole("uses")?.map(|uses| {
            let fits = (1..=MOST_USES).contains(&uses);
            let uses = u32::try_from(uses).ok().filter(|_| fits);
            uses.ok_or_else(|| fields.error("uses", format!("is not between 1 and {MOST_USES}")))
        });
        let expires = fields.text("expires")?.filter(|text| !text.is_empty());
        let expires = expires.map(|text| {
            Timestamp::parse(text).map_err(|error| fields.error("expires", error.to_string()))
        });
        Ok(Self {
            password,
            uses: uses.transpose()?,
            expires: expires.transpose()?,
        })
    }

    /// The body that a client sends.
    #[must_use]
    pub fn to_body(&self) -> Value {
        let mut body = Map::new();
        if let Some(password) = &self.password {
            body.insert("password".into(), json!(password.as_str()));
        }
        if let Some(uses) = self.uses {
            body.insert("uses".into(), json!(uses));
        }
        if let Some(expires) = self.expires {
            body.insert("expires".into(), json!(expires));
        }
        Value::Object(body)
    }
}

/// A user of an issuer.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerUserDescription {
    /// The name in HTTP Basic.
    pub username: IssuerUserName,
    /// The password that was made up. Answered once, to the request that had it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Certificates that may still be issued; absent: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
    /// From when on it is refused; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The version: another password gives another one, a use does not.
    pub etag: QuotedEtag,
    /// Time in UTC, RFC 3339.
    pub created_date_time_utc: Timestamp,
    /// Time in UTC, RFC 3339.
    pub last_modified_date_time_utc: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_what_is_read() {
        let request = IssuerUserRequest {
            password: Some(Zeroizing::new("correct horse battery".to_owned())),
            uses: Some(500),
            expires: Some(Timestamp::parse("2027-01-01T00:00:00Z").unwrap()),
        };
        for request in [request, IssuerUserRequest::default()] {
            let read = IssuerUserRequest::parse(request.to_body()).unwrap();
            assert!(read == request);
        }
    }

    #[test]
    fn faults_name_their_place_and_never_the_password() {
        for (body, wanted) in [
            (json!({"uses": 0}), "'uses': is not between"),
            (json!({"uses": "many", "password": "SECRET"}), "'uses'"),
            (
                json!({"expires": "soon", "Password": "SECRET"}),
                "'expires'",
            ),
            (json!({"password": ["SECRET"]}), "'password': a text"),
        ] {
            let found = IssuerUserRequest::parse(body).err().unwrap().to_string();
            assert!(found.starts_with(wanted), "{found}");
            assert!(!found.contains("SECRET"));
        }
    }
}
