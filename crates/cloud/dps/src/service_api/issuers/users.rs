//! `/muster/v1/dps/issuers/{name}/users`: who has certificates issued with a password.

use ids::{IssuerName, IssuerUserName, Timestamp};
use issuing::password::{PasswordError, StoredPassword};
use provisioning::{IssuerUser, IssuerUserDraft, IssuerUserError, IssuerUserReset, Secret};
use registry::Right;
use rest::{Reply, delete, get, post, put};
use wire::error::DpsErrorCode;
use wire::etag::QuotedEtag;
use wire::lenient::{self, BodyError};
use wire::muster_api::issuer::{ISSUER_USER_ITEM, IssuerUserDescription, IssuerUserRequest};
use zeroize::Zeroizing;

use super::wipe;
use crate::error::{NounError, ServiceFault};
use crate::service_api::access::Access;
use crate::service_api::{Call, Route, now, provisioning, queries};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/muster/v1/dps/issuers/{name}/users";
    const ONE: &str = "/muster/v1/dps/issuers/{name}/users/{username}";
    const RESET: &str = "/muster/v1/dps/issuers/{name}/users/{username}/reset";
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get(ALL, reads, list),
        get(ONE, reads, read),
        put(ONE, writes, create),
        post(RESET, writes, reset),
        delete(ONE, writes, remove),
    ]
}

async fn list(call: Call, issuer: IssuerName) -> Result<Reply, ServiceFault> {
    let found = provisioning(&call).issuer_users(&issuer, &queries::page(&call)?)?;
    let users = found.items.into_iter().map(|user| describe(user, None));
    let users: Vec<IssuerUserDescription> = users.collect();
    Ok(Reply::page(
        &users,
        ISSUER_USER_ITEM,
        found.continuation.as_ref(),
    ))
}

async fn read(call: Call, issuer: IssuerName, user: IssuerUserName) -> Result<Reply, ServiceFault> {
    let found = provisioning(&call).issuer_user(&issuer, &user)?;
    let found = found.ok_or(IssuerUserError::NotFound { issuer, user })?;
    Ok(Reply::json(&describe(found, None)))
}

async fn create(
    mut call: Call,
    issuer: IssuerName,
    name: IssuerUserName,
) -> Result<Reply, ServiceFault> {
    let request = request(&mut call)?;
    let (made_up, password) = password(request.password).await?;
    let draft = IssuerUserDraft {
        name,
        password,
        uses: request.uses,
        expires: request.expires,
    };
    let created = provisioning(&call).create_issuer_user(&issuer, draft, now(&call));
    Ok(Reply::json(&describe(created.await?, made_up)))
}

/// Another password for a user. Certificates that were issued stay.
async fn reset(
    mut call: Call,
    issuer: IssuerName,
    name: IssuerUserName,
) -> Result<Reply, ServiceFault> {
    let request = request(&mut call)?;
    let (made_up, password) = password(request.password).await?;
    let reset = IssuerUserReset {
        name,
        password,
        uses: request.uses,
        expires: request.expires,
    };
    let written = provisioning(&call).reset_issuer_user(&issuer, reset, now(&call));
    Ok(Reply::json(&describe(written.await?, made_up)))
}

async fn remove(
    call: Call,
    issuer: IssuerName,
    name: IssuerUserName,
) -> Result<Reply, ServiceFault> {
    provisioning(&call)
        .delete_issuer_user(&issuer, &name)
        .await?;
    Ok(Reply::no_content())
}

fn request(call: &mut Call) -> Result<IssuerUserRequest, ServiceFault> {
    let body = std::mem::take(&mut call.body);
    let request = match body.is_empty() {
        true => Ok(IssuerUserRequest::default()),
        false => lenient::parse(&body).and_then(IssuerUserRequest::parse),
    };
    wipe(body);
    let request = request?;
    match request.expires {
        Some(expires) if expires <= now(call) => Err(past(expires).into()),
        _ => Ok(request),
    }
}

fn past(expires: Timestamp) -> BodyError {
    BodyError::new("expires", format!("{expires} is not in the future"))
}

/// The password of a request as it is stored, or a made-up one with its text.
async fn password(
    chosen: Option<Zeroizing<String>>,
) -> Result<(Option<Zeroizing<String>>, Secret), ServiceFault> {
    let Some(chosen) = chosen else {
        let (text, stored) = StoredPassword::make_up(&rand::random());
        return Ok((Some(text), Secret::new(stored.as_text())));
    };
    let salt: [u8; 16] = rand::random();
    let hashed = tokio::task::spawn_blocking(move || StoredPassword::choose(&chosen, &salt)).await;
    let stored = hashed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    Ok((None, Secret::new(stored.as_text())))
}

impl NounError for PasswordError {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::Hash(_) => DpsErrorCode::InternalServerError,
            _ => DpsErrorCode::ArgumentInvalid,
        }
    }
}

impl NounError for IssuerUserError {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::NotFound { .. } => DpsErrorCode::NotFound,
            Self::Exists { .. } => DpsErrorCode::Conflict,
            Self::TooMany { .. } => DpsErrorCode::ArgumentInvalid,
            Self::Issuer(error) => error.code(),
        }
    }
}

fn describe(user: IssuerUser, password: Option<Zeroizing<String>>) -> IssuerUserDescription {
    IssuerUserDescription {
        username: user.name,
        password: password.map(|text| text.as_str().to_owned()),
        uses_left: user.uses_left,
        expires: user.expires,
        etag: QuotedEtag(user.etag),
        created_date_time_utc: user.created,
        last_modified_date_time_utc: user.updated,
    }
}
