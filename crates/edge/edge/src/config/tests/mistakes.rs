//! Mistakes in `config.toml`, and the faults that they give.

use super::*;

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_likely_one() {
    let text = GOOD.replace("id_scope", "id_scop");
    let found = faults(&text);
    assert!(
        found.contains("line 7: provisioning.id_scop is not a known key; did you mean id_scope?"),
        "{found}"
    );
    assert!(
        found.contains("id_scope is missing in [provisioning]"),
        "{found}"
    );
}

#[test]
fn a_key_in_the_wrong_table_is_named_with_the_right_one() {
    let text = GOOD.replace(
        "identity_pk",
        "auto_reprovisioning_mode = \"Dynamic\"\nidentity_pk",
    );
    let found = faults(&text);
    assert!(found.contains("top of the file"), "{found}");
}

#[test]
fn two_provisioning_blocks_are_named_with_both_lines() {
    let found = faults(&format!("{GOOD}\n[provisioning]\nsource = \"manual\"\n"));
    assert_eq!(
        found,
        "line 20: [provisioning] appears twice, on line 4 and on line 20; a device has one way of \
         provisioning: keep the block you want and comment the other one out"
    );
}

#[test]
fn a_text_without_quotes_is_explained() {
    let found = faults(&GOOD.replace("\"OnErrorOnly\"", "Dynamic"));
    assert!(
        found.contains("line 2: texts need quotes in TOML, for example \"Dynamic\""),
        "{found}"
    );
}

/// A text of [`GOOD`], what is written in its place, and the fault.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "\"https://dps.example:8443/\"",
        "\"http://dps.example\"",
        "has to begin with https://",
    ),
    ("\"file:///c.pem\"", "\"/c.pem\"", "is not a file URI"),
    ("\"file:///c.pem\"", "\"file://c.pem\"", "three slashes"),
    (
        "hostname = \"d1\"",
        "hostname = \"d 1\"",
        "line 1: hostname: \"d 1\" is not a host name",
    ),
    (
        "hostname = \"d1\"",
        "hostname = 1",
        "line 1: hostname: a text in quotes was expected, found integer",
    ),
    (
        "[moby_runtime]",
        "[tpm]\ntcti = \"tabrmd:\"\n[moby_runtime]",
        "line 17: tpm.tcti: tabrmd, the broker on D-Bus, is not offered",
    ),
    (
        "[moby_runtime]",
        "[tpm]\nauth_key_index = \"0x80_00_00\"\n[moby_runtime]",
        "line 17: tpm.auth_key_index: it has to be a number",
    ),
    (
        "[moby_runtime]",
        "[tpm]\nauth_key_index = 1\n[moby_runtime]",
        "line 17: tpm.auth_key_index: 0x81000001 is the handle of the TPM's storage root key",
    ),
    (
        "[moby_runtime]",
        "[tpm]\nauth_key_index = \"0x01_00_01\"\n[moby_runtime]",
        "line 17: tpm.auth_key_index: 0x81010001 is the handle of the TPM's storage root key",
    ),
];

#[test]
fn wrong_values_are_refused_with_line_and_key() {
    for (from, to, expected) in REFUSED {
        assert!(GOOD.contains(from), "{from}");
        let found = faults(&GOOD.replace(from, to));
        assert!(found.contains(expected), "{to}:\n{found}");
    }
}

/// A text of [`GOOD`], what is written in its place, and the start of the fault while the form has
/// no behaviour.
const NOT_OFFERED: &[(&str, &str, &str)] = &[
    (
        "source = \"dps\"",
        "source = \"manual\"",
        "line 5: provisioning.source = \"manual\" is known",
    ),
    (
        "\"file:///k.pem\"",
        "\"pkcs11:token=x;object=y\"",
        "line 14: provisioning.attestation.identity_pk is known",
    ),
    (
        "\"file:///c.pem\"",
        "{ method = \"est\", url = \"https://e.example\" }",
        "line 13: provisioning.attestation.identity_cert.method = \"est\" is known",
    ),
    (
        "hostname = \"d1\"",
        "parent_hostname = \"up\"",
        "line 1: parent_hostname is known",
    ),
];

#[test]
fn forms_that_are_not_offered_are_refused_by_name() {
    for (from, to, expected) in NOT_OFFERED {
        assert!(GOOD.contains(from), "{from}");
        let found = Config::parse(&GOOD.replace(from, to)).err();
        let found: Vec<String> = found.iter().flatten().map(ToString::to_string).collect();
        let refused = found.iter().any(|fault| fault.contains("not offered yet"));
        let named = found.iter().any(|fault| fault.starts_with(expected));
        assert!(named || !refused, "{to}:\n{found:#?}");
    }
}

#[test]
fn all_faults_are_found_at_once() {
    let text = GOOD
        .replace("id_scope = \"0ne1\"\n", "")
        .replace("unix://", "tcp://")
        .replace("hostname", "hostnam");
    assert_eq!(Config::parse(&text).unwrap_err().len(), 3);
}

#[test]
fn a_missing_provisioning_section_is_a_fault() {
    assert!(faults("").contains("[provisioning] is missing"));
    assert!(
        faults("[provisioning]\nsource = \"dps\"\n")
            .contains("attestation is missing in [provisioning]")
    );
}

#[test]
fn an_empty_table_counts_as_a_missing_identity() {
    let found = faults(&GOOD.replace("\"file:///c.pem\"", "{}"));
    assert!(
        found.contains("identity_cert is missing in [provisioning.attestation]"),
        "{found}"
    );
}

/// What 1.1 and the first releases of 1.2 had instead of `auto_reprovisioning_mode`.
#[test]
fn keys_of_earlier_releases_are_refused_with_their_replacement() {
    for (section, key) in [
        ("source = \"dps\"", "always_reprovision_on_startup"),
        ("source = \"dps\"", "dynamic_reprovisioning"),
        ("hostname = \"d1\"", "dynamic_reprovisioning"),
    ] {
        let found = faults(&GOOD.replace(section, &format!("{section}\n{key} = true")));
        let expected =
            format!("{key} is not a known key any more; auto_reprovisioning_mode took its place");
        assert!(
            found.contains(&expected) && found.contains("\"AlwaysOnStartup\""),
            "{found}"
        );
    }
}

#[test]
fn characters_of_word_processors_are_named_with_their_line() {
    for (to, expected) in [
        (
            "hostname = \u{201c}d1\u{201d}",
            "line 1: \u{201c} is a typographic quote, as word processors write it; TOML wants the \
             straight one, \"",
        ),
        (
            "hostname = \u{2018}d1\u{2019}",
            "line 1: \u{2018} is a typographic quote, as word processors write it; TOML wants the \
             straight one, '",
        ),
        (
            "hostname\u{a0}= \"d1\"",
            "line 1: there is a no-break space (U+00A0) in this line; remove it, or type a space",
        ),
        (
            "\u{a0}\u{a0}hostname = \"d1\"",
            "line 1: there is a no-break space (U+00A0)",
        ),
        (
            "hostname = \u{200b}\"d1\"",
            "line 1: there is an invisible character (U+200B)",
        ),
    ] {
        let found = faults(&GOOD.replace("hostname = \"d1\"", to));
        assert!(found.contains(expected), "{to}:\n{found}");
    }
    // Within a text they are not wrong, but nobody sees them.
    let (_, mut warnings) =
        Config::parse(&GOOD.replace("file:///k.pem", "file:///k.pem\u{a0}")).unwrap();
    warnings.retain(|fault| fault.severity > Severity::Note);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert!(
        warnings[0].to_string().starts_with(
            "line 14: provisioning.attestation.identity_pk: there is a no-break space (U+00A0) in \
             it"
        ),
        "{}",
        warnings[0]
    );
    // In a comment and in a text they are the owner's own business.
    let commented = format!("# \u{201c}mine\u{201d}\u{a0}\n{GOOD}");
    assert!(Config::parse(&commented).is_ok());
    assert!(
        Config::parse(&format!("\u{feff}{GOOD}")).is_ok(),
        "a byte order mark"
    );
    assert!(Config::parse(&GOOD.replace('\n', "\r\n")).is_ok());
}
