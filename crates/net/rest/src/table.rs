use axum::http::Method;

use crate::{RequestError, Route, Service};

/// The routes of a service. Where several have a path, the first one with the method
/// of the request counts.
pub struct Table<S: Service>(Vec<Route<S>>);

/// A route, and the segments of a path that stand for its parameters.
pub(crate) type Found<'t, 'p, S> = (&'t Route<S>, Vec<(&'static str, &'p str)>);

impl<S: Service> Table<S> {
    /// The routes of all nouns of a service, in the order in which they are tried.
    #[must_use]
    pub fn new(nouns: impl IntoIterator<Item = Vec<Route<S>>>) -> Self {
        Self(nouns.into_iter().flatten().collect())
    }

    /// Finds the route of a request.
    pub(crate) fn find<'p>(
        &self,
        method: &Method,
        segments: &[&'p str],
    ) -> Result<Found<'_, 'p, S>, RequestError> {
        let mut is_path = false;
        for route in &self.0 {
            let Some(parameters) = route.parameters(segments) else {
                continue;
            };
            if route.method.as_ref().is_none_or(|known| known == method) {
                return Ok((route, parameters));
            }
            is_path = true;
        }
        Err(match is_path {
            true => RequestError::Method(method.clone()),
            false => RequestError::NoSuchPath,
        })
    }
}
