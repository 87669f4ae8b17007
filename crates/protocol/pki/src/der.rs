//! DER (X.690) of the structures that no library of ours reads or writes: CRLs, OCSP, CMS,
//! attributes of requests. Tags have one byte and lengths are definite and minimal; BER is refused.

mod read;
mod time;
mod write;

pub use read::DerError;
pub(crate) use read::{Extension, Reader, unsigned};
pub(crate) use write::Writer;

/// Identifier bytes, with the bit of constructed elements.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const BMP_STRING: u8 = 0x1e;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[number]`, primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]`, constructed.
    pub(crate) const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

#[cfg(test)]
mod tests {
    use ids::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_minimal_at_every_boundary() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let mut der = Writer::default();
            der.element(tag::OCTET_STRING, &vec![7; length]);
            let der = der.finish();
            let mut reader = Reader::new(&der);
            assert_eq!(
                reader.read(tag::OCTET_STRING).unwrap().content.len(),
                length
            );
            reader.end().unwrap();
        }
    }

    #[test]
    fn ber_and_cut_bytes_are_refused() {
        for (bytes, wanted) in [
            (&[0x30][..], DerError::EndsEarly),
            (&[0x30, 0x01], DerError::EndsEarly),
            (&[0x30, 0x80, 0, 0], DerError::Length),
            (&[0x30, 0x81, 0x01, 0], DerError::Length),
            (&[0x30, 0x82, 0, 0x80], DerError::Length),
            (&[0x30, 0x85, 1, 0, 0, 0, 0], DerError::Length),
            (&[0x3f, 0x01, 0], DerError::Tag { found: 0x3f }),
            (&[0x31, 0], DerError::Tag { found: 0x31 }),
        ] {
            assert_eq!(Reader::new(bytes).read(tag::SEQUENCE).unwrap_err(), wanted);
        }
        let mut reader = Reader::new(&[5, 0, 5, 0]);
        reader.read(tag::NULL).unwrap();
        assert_eq!(reader.end().unwrap_err(), DerError::Trailing(2));
    }

    #[test]
    fn times_are_those_of_rfc_5280() {
        for (text, written) in [
            ("1970-01-01T00:00:00Z", "700101000000Z"),
            ("2049-12-31T23:59:59Z", "491231235959Z"),
            ("2050-01-01T00:00:00Z", "20500101000000Z"),
            ("2024-02-29T12:00:00Z", "240229120000Z"),
        ] {
            let mut der = Writer::default();
            der.time(Timestamp::parse(text).unwrap());
            let der = der.finish();
            assert_eq!(&der[2..], written.as_bytes());
            let read = Reader::new(&der).time().unwrap();
            assert_eq!(read.in_seconds(), text);
        }
        for broken in [
            "20500101000000.5Z",
            "2050010100000Z",
            "230229000000Z",
            "23010100000Z",
            "230101000060Z",
            "2301010000+0Z",
            "230101000000+",
        ] {
            let tag = match broken.len() {
                13 => tag::UTC_TIME,
                _ => tag::GENERALIZED_TIME,
            };
            let mut der = Writer::default();
            der.element(tag, broken.as_bytes());
            let der = der.finish();
            assert_eq!(
                Reader::new(&der).time(),
                Err(DerError::Value("a time")),
                "{broken}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_it_was(number: Vec<u8>, inner: Vec<u8>, seconds in 0_i64..4_102_444_800) {
            let moment = Timestamp::from_unix_seconds(seconds);
            let mut der = Writer::default();
            der.nest(tag::SEQUENCE, |der| {
                der.unsigned(&number);
                der.nest(tag::context_constructed(0), |der| der.element(tag::OCTET_STRING, &inner));
                der.generalized_time(moment);
            });
            let der = der.finish();
            let mut whole = Reader::new(&der);
            let mut inside = whole.nested(tag::SEQUENCE).unwrap();
            whole.end().unwrap();
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            let digits = if zeros == number.len() { &[0][..] } else { &number[zeros..] };
            prop_assert_eq!(unsigned(inside.read(tag::INTEGER).unwrap().content), digits);
            let mut tagged = inside.nested(tag::context_constructed(0)).unwrap();
            prop_assert_eq!(tagged.read(tag::OCTET_STRING).unwrap().content, &inner[..]);
            prop_assert_eq!(inside.time().unwrap(), moment);
            inside.end().unwrap();
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(element)) = reader.next() {
                prop_assert!(element.whole.ends_with(element.content));
            }
        }
    }
}
