use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::http::request::Parts;
use wire::http::Path;

use crate::table::Table;
use crate::{Call, OnProof, Reply, RequestError, RequestId, body};

/// A service with an HTTP API.
pub trait Service: Clone + Send + Sync + 'static {
    /// What a route demands of its callers.
    type Access: Send + Sync;
    /// Proof that a caller may do what it asks. Only [`Service::admit`] makes one.
    type Permit: Send;
    /// Every way in which a request may fail.
    type Error: From<RequestError> + Send;

    /// Checks the caller of a request whose body has not been read.
    fn admit(
        &self,
        asked: &Asked<'_, Self::Access>,
    ) -> impl Future<Output = Result<Self::Permit, Self::Error>> + Send;

    /// Logs an error and puts it into the envelope of the API.
    fn refuse(&self, error: &Self::Error, asked: &Parts, request_id: &RequestId) -> Reply;
}

/// What a check of the caller goes by.
pub struct Asked<'a, A> {
    /// The access that the route demands.
    pub access: &'a A,
    /// The path, split and decoded.
    pub path: &'a Path,
    /// Method, URI, headers and extensions.
    pub parts: &'a Parts,
    /// The id of the request, for answer and log.
    pub request_id: RequestId,
    pub(crate) parameters: &'a [(&'static str, &'a str)],
}

impl<A> Asked<'_, A> {
    /// The segment of the path that stands where the route has `{name}`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter();
        found.find_map(|(known, value)| (*known == name).then_some(*value))
    }
}

/// Answers a request by the routes of `table`.
pub async fn answer<S: Service>(service: &S, table: &Table<S>, request: Request) -> Response<Body> {
    let request_id = RequestId::fresh();
    let (parts, body) = request.into_parts();
    let reply = match handle(service, table, (&parts, body), request_id).await {
        Ok(reply) => reply,
        Err(error) => service.refuse(&error, &parts, &request_id),
    };
    reply.into_response(&request_id)
}

async fn handle<S: Service>(
    service: &S,
    table: &Table<S>,
    (parts, body): (&Parts, Body),
    request_id: RequestId,
) -> Result<Reply, S::Error> {
    let path = Path::parse(parts.uri.path()).map_err(RequestError::from)?;
    let segments = path.segments();
    let (route, parameters) = table.find(&parts.method, &segments)?;
    if route.needs_version && wire::http::api_version(parts.uri.query()).is_none() {
        return Err(RequestError::NoApiVersion.into());
    }
    let handler = route.prepare(&parameters)?;
    let asked = Asked {
        access: &route.access,
        path: &path,
        parts,
        request_id,
        parameters: &parameters,
    };
    let permit = service.admit(&asked).await?;
    OnProof::notify(parts);
    let body = body::read(body, route.body_limit).await?;
    let call = Call {
        service: service.clone(),
        permit,
        body,
        parts: parts.clone(),
    };
    handler(call).await
}
