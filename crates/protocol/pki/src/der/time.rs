use ids::Timestamp;

use super::tag;

/// `YYYYMMDDHHMMSSZ`.
pub(super) fn digits(moment: Timestamp) -> [u8; 15] {
    let calendar = moment.to_offset_date_time();
    let year = calendar.year().unsigned_abs();
    let (month, day) = (u8::from(calendar.month()), calendar.day());
    let (hour, minute, second) = calendar.to_hms();
    let mut text = *b"00000000000000Z";
    put(&mut text[..4], year);
    for (place, number) in [(4, month), (6, day), (8, hour), (10, minute), (12, second)] {
        put(&mut text[place..place + 2], u32::from(number));
    }
    text
}

/// Fills `place` with the last digits of a number.
fn put(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// Whether RFC 5280 wants a UTCTime, which has two digits for the year.
pub(super) fn is_utc_time(digits: &[u8; 15]) -> bool {
    (&b"1950"[..]..&b"2050"[..]).contains(&&digits[..4])
}

/// The moment that a UTCTime or GeneralizedTime names.
pub(super) fn parse(tag: u8, content: &[u8]) -> Option<Timestamp> {
    let (century, rest) = match tag {
        tag::UTC_TIME if content.len() == 13 && content[0] < b'5' => (&b"20"[..], content),
        tag::UTC_TIME if content.len() == 13 => (&b"19"[..], content),
        tag::GENERALIZED_TIME if content.len() == 15 => content.split_at(2),
        _ => return None,
    };
    if rest[12] != b'Z' {
        return None;
    }
    let mut text = *b"0000-00-00T00:00:00Z";
    text[..2].copy_from_slice(century);
    for (index, place) in [2, 5, 8, 11, 14, 17].into_iter().enumerate() {
        text[place..place + 2].copy_from_slice(&rest[2 * index..2 * index + 2]);
    }
    if rest[..12]
        .iter()
        .chain(century)
        .any(|byte| !byte.is_ascii_digit())
    {
        return None;
    }
    // RFC 3339 has leap seconds, X.509 does not.
    let leaps = &text[17..19] == b"60";
    let moment = Timestamp::parse(std::str::from_utf8(&text).ok()?).ok()?;
    (!leaps).then_some(moment)
}
