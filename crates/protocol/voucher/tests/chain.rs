//! A voucher is accepted as it was signed and in no other form.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use std::sync::LazyLock;

use ids::{RegistrationId, Thumbprint, Timestamp};
use pki::{Certificate, KeyType, PrivateKey, VerifyingKey};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use voucher::{Credential, Device, Trust, UnverifiedVoucher, VerifiedVoucher, VoucherError};

fn moment() -> Timestamp {
    Timestamp::parse("2026-11-29T12:00:00Z").unwrap()
}

fn id(name: &str) -> RegistrationId {
    RegistrationId::parse(name).unwrap()
}

fn press(number: u8) -> Device {
    let tags = json!({"line": number, "site": {"name": "north"}});
    Device {
        id: id(&format!("press-{number}")),
        credential: Credential::Thumbprint(Thumbprint::from_bytes([number; 32])),
        tags: tags.as_object().unwrap().clone(),
    }
}

fn certified(name: &str, certificate: &str) -> Device {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, certificate);
    let der = params.self_signed(&key).unwrap();
    let certificate = Certificate::from_der(der.der()).unwrap();
    Device {
        id: id(name),
        credential: Credential::Certificate(Box::new(certificate)),
        tags: Map::new(),
    }
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeyType::Ec).unwrap()
}

/// A batch of five devices that went from its maker over a dealer to a buyer, who has three.
struct Resale {
    maker: VerifyingKey,
    buyer: VerifyingKey,
    text: String,
}

fn verified(voucher: UnverifiedVoucher) -> VerifiedVoucher {
    voucher.verify(Trust::default()).unwrap()
}

static RESALE: LazyLock<Resale> = LazyLock::new(|| {
    let (maker, dealer, buyer) = (key(), key(), key());
    let devices: Vec<Device> = (1..=5).map(press).collect();
    let made = voucher::create(&devices, &maker, moment()).unwrap();
    let dealers = dealer.verifying_key().unwrap();
    let sold = verified(made).endorse(&maker, &dealers, None, moment());
    let buyers = buyer.verifying_key().unwrap();
    let some: Vec<RegistrationId> = ["press-2", "PRESS-3", "press-5"].map(id).into();
    let resold = verified(sold.unwrap()).endorse(&dealer, &buyers, Some(&some), moment());
    Resale {
        maker: maker.verifying_key().unwrap(),
        buyer: buyers,
        text: resold.unwrap().to_json().unwrap(),
    }
});

fn verified_text(text: &str) -> Result<VerifiedVoucher, VoucherError> {
    let trust = Trust {
        makers: Some(std::slice::from_ref(&RESALE.maker)),
        owner: Some(&RESALE.buyer),
    };
    UnverifiedVoucher::parse(text)?.verify(trust)
}

fn changed(change: impl FnOnce(&mut Value)) -> Result<VerifiedVoucher, VoucherError> {
    let mut document: Value = serde_json::from_str(&RESALE.text).unwrap();
    change(&mut document);
    verified_text(&document.to_string())
}

#[test]
fn the_last_owner_has_what_was_sold_to_it_and_no_more() {
    let bought = verified_text(&RESALE.text).unwrap();
    let mut names: Vec<&str> = bought.devices().iter().map(|d| d.id.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["press-2", "press-3", "press-5"]);
    assert_eq!(bought.devices()[0].tags["site"]["name"], "north");
    let counts: Vec<usize> = bought.links().iter().map(|link| link.devices).collect();
    assert_eq!(counts, [5, 5, 3]);
    assert_eq!(*bought.maker(), RESALE.maker);
    assert_eq!(*bought.owner(), RESALE.buyer);
}

#[test]
fn certificates_and_all_kinds_of_keys_are_carried() {
    for kind in [KeyType::Ec, KeyType::Rsa2048] {
        let maker = PrivateKey::generate(kind).unwrap();
        let device = certified("Press-9", "press-9");
        let made = voucher::create(&[device.clone(), press(1)], &maker, moment()).unwrap();
        let read = UnverifiedVoucher::parse(&made.to_json().unwrap()).unwrap();
        assert_eq!(read, made);
        let read = verified(read);
        let found = read.devices().iter().find(|d| d.id == device.id).unwrap();
        match (&found.credential, &device.credential) {
            (Credential::Certificate(found), Credential::Certificate(wanted)) => {
                assert_eq!(found.der(), wanted.der());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_no_device_can_register_with_is_not_signed() {
    let maker = key();
    let none = voucher::create(&[], &maker, moment());
    assert!(matches!(none, Err(VoucherError::NoDevices(_))));
    let mut twice = press(1);
    twice.id = id("PRESS-1");
    let twice = voucher::create(&[press(1), twice], &maker, moment());
    assert!(matches!(twice, Err(VoucherError::Twice(_))));
    let other = voucher::create(&[certified("press-1", "pump-1")], &maker, moment());
    assert!(matches!(other, Err(VoucherError::Unusable { .. })));
}

#[test]
fn links_that_are_removed_reordered_or_repeated_are_refused() {
    let links = |document: &mut Value, change: fn(&mut Vec<Value>)| {
        change(document["endorsements"].as_array_mut().unwrap());
    };
    let removed: [fn(&mut Vec<Value>); 6] = [
        |all| drop(all.remove(0)),
        |all| drop(all.remove(1)),
        Vec::clear,
        |all| all.reverse(),
        |all| all.push(all[1].clone()),
        |all| all.insert(0, all[0].clone()),
    ];
    for change in removed {
        assert!(changed(|document| links(document, change)).is_err());
    }
}

#[test]
fn entries_that_are_removed_reordered_repeated_or_added_are_refused() {
    let entries: [fn(&mut Vec<Value>); 5] = [
        |all| drop(all.remove(0)),
        Vec::clear,
        |all| all.reverse(),
        |all| all.push(all[2].clone()),
        |all| all.insert(1, all[0].clone()),
    ];
    for change in entries {
        let refused = changed(|document| change(document["devices"].as_array_mut().unwrap()));
        assert_eq!(refused.err(), Some(VoucherError::Entries));
    }
    // A link of another chain, by the right keys, does not fit into this one.
    let other = changed(|document| {
        let batch = document["batch"].clone();
        document["endorsements"][0] = batch;
    });
    assert!(matches!(other, Err(VoucherError::Signature(_))));
    let more = changed(|document| document["more"] = json!(1));
    assert!(matches!(more, Err(VoucherError::Form(_))));
}

#[test]
fn only_the_owner_passes_on_and_only_what_it_has() {
    let bought = verified_text(&RESALE.text).unwrap();
    let (stranger, next) = (key(), key().verifying_key().unwrap());
    let refused = bought.endorse(&stranger, &next, None, moment());
    assert!(matches!(refused, Err(VoucherError::Owner { .. })));

    let (maker, dealer) = (key(), key());
    let devices: Vec<Device> = (1..=3).map(press).collect();
    let made = voucher::create(&devices, &maker, moment()).unwrap();
    let some = [id("press-1")];
    let dealers = dealer.verifying_key().unwrap();
    let sold = verified(made.clone()).endorse(&maker, &dealers, Some(&some), moment());
    let sold = verified(sold.unwrap());
    let absent = sold.endorse(&dealer, &next, Some(&[id("press-2")]), moment());
    assert!(matches!(absent, Err(VoucherError::NotThere(_))));

    // The dealer signs for a device that was not sold to it, and adds its entry.
    let whole = verified(made)
        .endorse(&maker, &dealers, None, moment())
        .unwrap();
    let all = verified(whole).endorse(&dealer, &next, Some(&[id("press-2")]), moment());
    let all: Value = serde_json::from_str(&all.unwrap().to_json().unwrap()).unwrap();
    let mut forged: Value = serde_json::from_str(
        &sold
            .endorse(&dealer, &next, None, moment())
            .unwrap()
            .to_json()
            .unwrap(),
    )
    .unwrap();
    forged["endorsements"][1] = all["endorsements"][1].clone();
    forged["devices"] = all["devices"].clone();
    let forged = UnverifiedVoucher::parse(&forged.to_string()).unwrap();
    let refused = forged.verify(Trust::default()).err();
    assert!(
        matches!(refused, Some(VoucherError::Chain(_))),
        "{refused:?}"
    );
}

#[test]
fn other_makers_and_other_owners_are_named() {
    let stranger = key().verifying_key().unwrap();
    let read = || UnverifiedVoucher::parse(&RESALE.text).unwrap();
    let makers = [stranger.clone()];
    let refused = read().verify(Trust {
        makers: Some(&makers),
        owner: None,
    });
    assert!(matches!(refused, Err(VoucherError::Maker(_))));
    let refused = read().verify(Trust {
        makers: None,
        owner: Some(&stranger),
    });
    let Err(VoucherError::Owner { found, wanted }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(found, RESALE.buyer.fingerprint().to_string());
    assert_eq!(wanted, stranger.fingerprint().to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_changed_bit_is_refused(position in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = RESALE.text.clone().into_bytes();
        let position = position.index(bytes.len());
        bytes[position] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(verified_text(&text).is_err(), "bit {bit} of byte {position}");
        }
    }

    #[test]
    fn a_cut_or_repeated_part_is_refused(
        from in any::<prop::sample::Index>(), length in 1_usize..200, repeat in any::<bool>(),
    ) {
        let text = &RESALE.text;
        let from = from.index(text.len());
        let to = (from + length).min(text.len());
        let part = if repeat { text[from..to].repeat(2) } else { String::new() };
        let other = format!("{}{part}{}", &text[..from], &text[to..]);
        // White space between members means nothing.
        let meaning = |text: &str| serde_json::from_str::<Value>(text).ok();
        prop_assume!(meaning(&other) != meaning(text));
        prop_assert!(verified_text(&other).is_err());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        prop_assert!(verified_text(&text).is_err());
    }
}
