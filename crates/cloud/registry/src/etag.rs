//! How versions look outside. Azure's shapes, so that clients that parse them
//! find what they expect.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::Etag;

fn parsed(text: &str) -> Etag {
    // Base64 and UUIDs are printable ASCII without quotes.
    Etag::parse(text).unwrap_or_else(|_| unreachable!("base64 and UUIDs are etags"))
}

/// Of an identity: base64 of a decimal number, such as `MTIzNDU2`.
pub fn of_revision(revision: i64) -> Etag {
    parsed(&STANDARD.encode(revision.to_string()))
}

/// Of a twin: base64 of a big-endian counter, `AAAAAAAAAAE=` for a fresh one, whose version is 2.
pub fn of_twin(version: u64) -> Etag {
    parsed(&STANDARD.encode(version.saturating_sub(1).to_be_bytes()))
}

/// Of an enrollment or registration: a random UUID.
pub fn random(bytes: [u8; 16]) -> Etag {
    parsed(
        &uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_have_azures_shapes() {
        assert_eq!(of_revision(123_456).as_str(), "MTIzNDU2");
        assert_eq!(of_revision(1).as_str(), "MQ==");
        assert_eq!(of_twin(2).as_str(), "AAAAAAAAAAE=");
        assert_eq!(random([7; 16]).as_str().len(), 36);
    }
}
