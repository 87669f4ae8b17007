//! Reading of request bodies.

use std::error::Error;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::LengthLimitError;

use crate::RequestError;

/// Reads a body of at most `limit` bytes. Time limits are the transport's.
///
/// # Errors
/// When it is longer, late or incomplete. One that is announced as too long is neither waited for,
/// nor asked for with "100 Continue".
pub async fn read(body: Body, limit: usize) -> Result<Bytes, RequestError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(RequestError::TooLarge { limit });
    }
    let read = axum::body::to_bytes(body, limit).await;
    read.map_err(|error| {
        let is_limit = |cause: &(dyn Error + 'static)| cause.is::<LengthLimitError>();
        let first: &(dyn Error + 'static) = &error;
        if wire::http::is_late(first) {
            RequestError::Late
        } else if std::iter::successors(Some(first), |&cause| cause.source()).any(is_limit) {
            RequestError::TooLarge { limit }
        } else {
            RequestError::Interrupted
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::body::Body;
    use http_body_util::StreamBody;

    use super::*;

    /// A body of one piece that has no announced length.
    fn unannounced(piece: Result<&'static [u8], io::Error>) -> Body {
        let frame = piece.map(|bytes| hyper::body::Frame::data(Bytes::from_static(bytes)));
        Body::new(StreamBody::new(futures_util::stream::iter([frame])))
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit() {
        assert_eq!(read(Body::from("abc"), 3).await.unwrap(), "abc");
        for body in [Body::from("abcd"), unannounced(Ok(b"abcd"))] {
            let found = read(body, 3).await.unwrap_err();
            assert_eq!(found, RequestError::TooLarge { limit: 3 });
        }
    }

    #[tokio::test]
    async fn a_late_body_is_told_from_a_broken_one() {
        for (kind, expected) in [
            (io::ErrorKind::TimedOut, RequestError::Late),
            (io::ErrorKind::BrokenPipe, RequestError::Interrupted),
        ] {
            let body = unannounced(Err(kind.into()));
            assert_eq!(read(body, 3).await.unwrap_err(), expected);
        }
    }
}
