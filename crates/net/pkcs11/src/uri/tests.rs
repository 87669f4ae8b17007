use super::*;

fn parsed(text: &str) -> TokenUri {
    text.parse().unwrap()
}

#[test]
fn what_is_written_is_what_was_read() {
    let uri = parsed("pkcs11:token=My%20Token;object=fleet%3Bca;id=%01%aF;type=private");
    assert_eq!(uri.slot.token.as_deref(), Some("My Token"));
    assert_eq!(uri.object.as_deref(), Some("fleet;ca"));
    assert_eq!(uri.id.as_deref(), Some(&[1, 0xaf][..]));
    assert_eq!(parsed(&uri.to_string()), uri);
    let slot = parsed("pkcs11:slot-id=7;serial=ab;object=x");
    let place = &slot.slot;
    assert_eq!((place.slot, place.serial.as_deref()), (Some(7), Some("ab")));
    assert_eq!(parsed(&slot.to_string()), slot);
    let secret = parsed("pkcs11:token=a;object=b;type=secret-key");
    assert_eq!(secret, parsed("pkcs11:token=a;object=b").of_secret());
    assert_eq!(parsed(&secret.to_string()), secret);
    let place: SlotUri = "pkcs11:token=a%3B;slot-id=1".parse().unwrap();
    assert_eq!(place.to_string().parse::<SlotUri>().unwrap(), place);
}

#[test]
fn what_names_no_key_is_refused_with_the_reason() {
    for (text, wanted) in [
        ("token=a;object=b", "pkcs11:"),
        ("pkcs11:token=a", "names no key"),
        ("pkcs11:object=a", "names no token"),
        ("pkcs11:token=a;token=b;object=c", "token twice"),
        ("pkcs11:token=a;object=b;type=cert", "does not sign"),
        ("pkcs11:token=a;object=b;slot-id=x", "not a number"),
        ("pkcs11:token=a;object=b;model=x", "\"model\""),
        ("pkcs11:token=a;object=%ff", "UTF-8"),
        ("pkcs11:token=a;object", "no value"),
        ("pkcs11:token=a;object=b?pin-value=1234", "apart"),
    ] {
        let found = text.parse::<TokenUri>().unwrap_err().to_string();
        assert!(found.contains(wanted), "{text}: {found}");
        assert!(!found.contains("1234"), "{found}");
    }
}

#[test]
fn a_slot_is_named_without_a_key() {
    for (text, wanted) in [
        ("pkcs11:object=a", "names a key"),
        ("pkcs11:token=a;id=%01", "names a key"),
        ("pkcs11:", "names no token"),
        ("pkcs11:token=a;manufacturer=x", "\"manufacturer\""),
    ] {
        let found = text.parse::<SlotUri>().unwrap_err().to_string();
        assert!(found.contains(wanted), "{text}: {found}");
    }
    let (slot, pin) = SlotUri::with_pin("pkcs11:slot-id=0?pin-value=1234").unwrap();
    assert_eq!(slot.to_string(), "pkcs11:slot-id=0");
    assert!(matches!(pin, Some(PinSource::Value(pin)) if *pin == "1234"));
}

#[test]
fn the_pin_is_split_off() {
    let pin = |text: &str| TokenUri::with_pin(text).unwrap().1;
    let Some(PinSource::Value(value)) = pin("pkcs11:token=a;object=b?pin-value=12%3B4") else {
        panic!("a value was given");
    };
    assert_eq!(*value, "12;4");
    for source in ["file:/run/pin", "file:///run/pin", "/run/pin"] {
        let Some(PinSource::File(file)) =
            pin(&format!("pkcs11:token=a;object=b?pin-source={source}"))
        else {
            panic!("a file was given");
        };
        assert_eq!(file, std::path::Path::new("/run/pin"));
    }
    assert!(pin("pkcs11:token=a;object=b").is_none());
    for text in ["?module-path=/x.so", "?pin-value=1&pin-value=2"] {
        assert!(TokenUri::with_pin(&format!("pkcs11:token=a;object=b{text}")).is_err());
    }
}
