use std::pin::Pin;
use std::str::FromStr;

use axum::http::Method;

use crate::{Call, Reply, RequestError, Service};

/// Largest body of a route that does not say otherwise, bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// A handler with the parameters of one request's path, waiting for the call.
pub type Prepared<S> =
    Box<dyn FnOnce(Call<S>) -> Pin<Box<dyn Future<Output = Answered<S>> + Send>> + Send>;

type Answered<S> = Result<Reply, <S as Service>::Error>;
type Prepare<S> = Box<dyn Fn(&[&str]) -> Result<Prepared<S>, RequestError> + Send + Sync>;

/// One operation of an API: method, path, access that it demands, and what it does.
pub struct Route<S: Service> {
    /// The HTTP method; `None` matches any.
    pub(crate) method: Option<Method>,
    pub(crate) pattern: Vec<Segment>,
    pub(crate) access: S::Access,
    pub(crate) body_limit: usize,
    pub(crate) needs_version: bool,
    prepare: Prepare<S>,
}

/// One segment of a route's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Matches in any letter case.
    Literal(&'static str),
    /// `{name}`: any one segment.
    Parameter(&'static str),
    /// `**`: all that follows, also nothing.
    Rest,
}

/// `GET` of a path such as `/devices/{device}`.
pub fn get<S: Service, A>(
    path: &'static str,
    access: S::Access,
    handler: impl Handler<S, A>,
) -> Route<S> {
    Route::new(Some(Method::GET), path, access, handler)
}

/// `PUT` of a path.
pub fn put<S: Service, A>(
    path: &'static str,
    access: S::Access,
    handler: impl Handler<S, A>,
) -> Route<S> {
    Route::new(Some(Method::PUT), path, access, handler)
}

/// `POST` of a path.
pub fn post<S: Service, A>(
    path: &'static str,
    access: S::Access,
    handler: impl Handler<S, A>,
) -> Route<S> {
    Route::new(Some(Method::POST), path, access, handler)
}

/// `PATCH` of a path.
pub fn patch<S: Service, A>(
    path: &'static str,
    access: S::Access,
    handler: impl Handler<S, A>,
) -> Route<S> {
    Route::new(Some(Method::PATCH), path, access, handler)
}

/// `DELETE` of a path.
pub fn delete<S: Service, A>(
    path: &'static str,
    access: S::Access,
    handler: impl Handler<S, A>,
) -> Route<S> {
    Route::new(Some(Method::DELETE), path, access, handler)
}

/// Any method of a path.
pub fn any<S: Service, A>(
    path: &'static str,
    access: S::Access,
    handler: impl Handler<S, A>,
) -> Route<S> {
    Route::new(None, path, access, handler)
}

impl<S: Service> Route<S> {
    fn new<A>(
        method: Option<Method>,
        path: &'static str,
        access: S::Access,
        handler: impl Handler<S, A>,
    ) -> Self {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        Self {
            method,
            pattern: segments.map(Segment::parse).collect(),
            access,
            body_limit: BODY_LIMIT,
            needs_version: true,
            prepare: Box::new(move |parameters| handler.prepare(parameters)),
        }
    }

    /// The same route with another limit of its body, bytes.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// The same route, served without `api-version` too.
    #[must_use]
    pub fn without_version(mut self) -> Self {
        self.needs_version = false;
        self
    }

    /// The parameters of a path that this route has; `None` when it has another path.
    pub(crate) fn parameters<'p>(
        &self,
        segments: &[&'p str],
    ) -> Option<Vec<(&'static str, &'p str)>> {
        let mut found = Vec::new();
        let mut given = segments.iter();
        for segment in &self.pattern {
            match segment {
                Segment::Rest => return Some(found),
                Segment::Literal(literal) => {
                    given.next().filter(|text| wire::http::is(text, literal))?;
                }
                Segment::Parameter(name) => found.push((*name, *given.next()?)),
            }
        }
        given.next().is_none().then_some(found)
    }

    /// Reads the parameters of a path for the handler.
    pub(crate) fn prepare(
        &self,
        parameters: &[(&'static str, &str)],
    ) -> Result<Prepared<S>, RequestError> {
        let texts: Vec<&str> = parameters.iter().map(|(_, text)| *text).collect();
        (self.prepare)(&texts)
    }
}

impl Segment {
    fn parse(text: &'static str) -> Self {
        let parameter = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        match parameter {
            Some(name) => Self::Parameter(name),
            None if text == "**" => Self::Rest,
            None => Self::Literal(text),
        }
    }
}

/// An async function of a [`Call`] and the parameters of its route's path, in their order.
/// Implemented for functions of up to three parameters; `A` is the tuple of their types.
pub trait Handler<S: Service, A>: Send + Sync + 'static {
    /// Reads the parameters, so that a path with a bad id is refused before its caller is checked.
    ///
    /// # Errors
    /// When a segment is not what the function takes.
    fn prepare(&self, parameters: &[&str]) -> Result<Prepared<S>, RequestError>;
}

impl<S, F, R> Handler<S, ()> for F
where
    S: Service,
    F: Fn(Call<S>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answered<S>> + Send + 'static,
{
    fn prepare(&self, _parameters: &[&str]) -> Result<Prepared<S>, RequestError> {
        let handler = self.clone();
        Ok(Box::new(move |call| Box::pin(handler(call))))
    }
}

impl<S, F, R, A> Handler<S, (A,)> for F
where
    S: Service,
    F: Fn(Call<S>, A) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answered<S>> + Send + 'static,
    A: FromStr + Send + 'static,
    RequestError: From<A::Err>,
{
    fn prepare(&self, parameters: &[&str]) -> Result<Prepared<S>, RequestError> {
        let (handler, first) = (self.clone(), parameter(parameters, 0)?);
        Ok(Box::new(move |call| Box::pin(handler(call, first))))
    }
}

impl<S, F, R, A, B> Handler<S, (A, B)> for F
where
    S: Service,
    F: Fn(Call<S>, A, B) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answered<S>> + Send + 'static,
    A: FromStr + Send + 'static,
    B: FromStr + Send + 'static,
    RequestError: From<A::Err> + From<B::Err>,
{
    fn prepare(&self, parameters: &[&str]) -> Result<Prepared<S>, RequestError> {
        let handler = self.clone();
        let (first, second) = (parameter(parameters, 0)?, parameter(parameters, 1)?);
        Ok(Box::new(move |call| Box::pin(handler(call, first, second))))
    }
}

impl<S, F, R, A, B, C> Handler<S, (A, B, C)> for F
where
    S: Service,
    F: Fn(Call<S>, A, B, C) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Answered<S>> + Send + 'static,
    A: FromStr + Send + 'static,
    B: FromStr + Send + 'static,
    C: FromStr + Send + 'static,
    RequestError: From<A::Err> + From<B::Err> + From<C::Err>,
{
    fn prepare(&self, parameters: &[&str]) -> Result<Prepared<S>, RequestError> {
        let handler = self.clone();
        let (first, second) = (parameter(parameters, 0)?, parameter(parameters, 1)?);
        let third = parameter(parameters, 2)?;
        Ok(Box::new(move |call| {
            Box::pin(handler(call, first, second, third))
        }))
    }
}

fn parameter<T: FromStr>(parameters: &[&str], index: usize) -> Result<T, RequestError>
where
    RequestError: From<T::Err>,
{
    let text = parameters.get(index).ok_or(RequestError::NoSuchPath)?;
    Ok(text.parse()?)
}
