//! Keys of TPMs: what is read, what is refused, and that only the right TPM opens what
//! was sealed for it.

use pki::tpm::{EndorsementKey, HmacKey, MAX_PUBLIC_BYTES, StorageRootKey, TpmKeyError};
use proptest::prelude::*;

use software_tpm::SoftwareTpm;

fn seal_for(tpm: &SoftwareTpm, key: [u8; 32]) -> Vec<u8> {
    let endorsement = EndorsementKey::parse(&tpm.endorsement_key()).unwrap();
    let storage_root = StorageRootKey::parse(&tpm.storage_root_key()).unwrap();
    let blob = HmacKey::new(key).seal(&endorsement, &storage_root, "scope/registrations/a");
    blob.unwrap().as_bytes().to_vec()
}

/// Changes one byte of a fresh endorsement key and reads it.
fn altered(change: impl FnOnce(&mut Vec<u8>)) -> TpmKeyError {
    let mut bytes = SoftwareTpm::new().endorsement_key();
    change(&mut bytes);
    EndorsementKey::parse(&bytes).unwrap_err()
}

#[test]
fn the_tpm_that_holds_both_keys_gets_the_key_and_the_text() {
    let tpm = SoftwareTpm::new();
    let opened = tpm.activate(&seal_for(&tpm, [7; 32]));
    assert_eq!(opened, Ok((vec![7; 32], b"scope/registrations/a".to_vec())));
    // Nothing is drawn twice.
    assert_ne!(seal_for(&tpm, [7; 32]), seal_for(&tpm, [7; 32]));
}

#[test]
fn any_other_tpm_gets_nothing() {
    let (ours, other) = (SoftwareTpm::new(), SoftwareTpm::new());
    assert_eq!(other.activate(&seal_for(&ours, [7; 32])), Err("seed"));
    // The right endorsement key and somebody else's storage root key: the name does not fit.
    let endorsement = EndorsementKey::parse(&ours.endorsement_key()).unwrap();
    let other_root = StorageRootKey::parse(&other.storage_root_key()).unwrap();
    let blob = HmacKey::new([7; 32])
        .seal(&endorsement, &other_root, "")
        .unwrap();
    assert_eq!(ours.activate(blob.as_bytes()), Err("outer integrity"));
}

#[test]
fn a_flipped_bit_is_noticed() {
    let tpm = SoftwareTpm::new();
    let blob = seal_for(&tpm, [7; 32]);
    // One bit in each part: identity object, its secret, private, its secret, public.
    for position in [10, 200, 360, 560, 740] {
        let mut bent = blob.clone();
        bent[position] ^= 1;
        assert!(tpm.activate(&bent).is_err(), "bit at {position}");
    }
}

#[test]
fn keys_are_equal_when_their_bytes_are() {
    let (one, two) = (SoftwareTpm::new(), SoftwareTpm::new());
    let key = |tpm: &SoftwareTpm| EndorsementKey::parse(&tpm.endorsement_key()).unwrap();
    assert_eq!(key(&one), key(&one));
    assert_ne!(key(&one), key(&two));
    assert_eq!(format!("{:?}", key(&one)), "EndorsementKey(RSA-2048)");
}

#[test]
fn what_could_be_outside_of_a_tpm_is_refused() {
    // The attributes are the bytes 6 to 9.
    let refused = [
        (9, 0x02, "fixedTPM"),
        (9, 0x10, "fixedParent"),
        (7, 0x01, "restricted"),
        (7, 0x02, "decrypt"),
    ];
    for (position, bit, name) in refused {
        assert_eq!(
            altered(|bytes| bytes[position] ^= bit),
            TpmKeyError::NotFixed(name)
        );
    }
    assert_eq!(
        altered(|bytes| bytes[9] ^= 0x20),
        TpmKeyError::NotFixed("sensitiveDataOrigin")
    );
    assert_eq!(altered(|bytes| bytes[7] ^= 0x04), TpmKeyError::Signs);
}

#[test]
fn other_kinds_of_keys_are_refused_by_name() {
    let unsupported = |change: fn(&mut Vec<u8>), text: &str| {
        let TpmKeyError::Unsupported(reason) = altered(change) else {
            panic!("not refused as unsupported: {text}");
        };
        assert!(reason.contains(text), "{reason}");
    };
    unsupported(|bytes| bytes[3] = 0x08, "type is 0x0008");
    unsupported(|bytes| bytes[5] = 0x0c, "name algorithm is 0x000c");
    // After the policy of 32 bytes: symmetric algorithm, bits, mode, scheme, bits, exponent.
    unsupported(|bytes| bytes[46] = 1, "of 384 bits");
    unsupported(|bytes| bytes[51] = 0x16, "scheme is 0x0016");
    unsupported(|bytes| bytes[52] = 4, "RSA key of 1024 bits");
    unsupported(|bytes| bytes[57] = 3, "exponent is 3");
}

#[test]
fn what_is_no_public_area_is_refused() {
    assert_eq!(
        altered(Vec::clear),
        TpmKeyError::Malformed("it ends too early")
    );
    assert_eq!(
        altered(|bytes| bytes.push(0)),
        TpmKeyError::Malformed("something follows it")
    );
    assert_eq!(
        altered(|bytes| bytes.resize(2000, 0)),
        TpmKeyError::TooLong(2000)
    );
    assert!(matches!(
        altered(|bytes| bytes.truncate(300)),
        TpmKeyError::Malformed(_)
    ));
    // An even modulus is no modulus.
    assert_eq!(
        altered(|bytes| *bytes.last_mut().unwrap() &= 0xfe),
        TpmKeyError::Invalid
    );
    let long = vec![0; MAX_PUBLIC_BYTES + 1];
    assert!(StorageRootKey::parse(&long).is_err());
}

#[test]
fn keys_on_the_curve_are_read_and_others_are_not() {
    let area = |y: u8| {
        let mut bytes = vec![
            0, 0x23, 0, 0x0b, 0, 3, 4, 0x72, 0, 0, 0, 6, 0, 128, 0, 0x43, 0, 0x10, 0, 3, 0, 0x10,
        ];
        bytes.extend([0, 32]);
        bytes.extend(GENERATOR_X);
        bytes.extend([0, 32]);
        bytes.extend(GENERATOR_Y);
        *bytes.last_mut().unwrap() ^= y;
        [vec![0, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let key = StorageRootKey::parse(&area(0)).unwrap();
    assert_eq!(format!("{key:?}"), "StorageRootKey(P-256)");
    assert_eq!(
        StorageRootKey::parse(&area(1)).unwrap_err(),
        TpmKeyError::Invalid
    );
}

/// The generator of P-256: a point that is surely on it.
const GENERATOR_X: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];
const GENERATOR_Y: [u8; 32] = [
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16,
    0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

proptest! {
    /// Whatever is read was read completely and is given back as it came.
    #[test]
    fn nothing_from_outside_is_altered_or_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(key) = EndorsementKey::parse(&bytes) {
            prop_assert_eq!(key.as_bytes(), bytes);
        }
    }
}
