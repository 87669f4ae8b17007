use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    Read,
    Write,
}

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const LATER: Timestamp = Timestamp::from_unix_seconds(1_700_000_060);
const PRIMARY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";
const SECONDARY: &str = "AQAAAAAAAAAAAAAAAAAAAA==";
const STRANGER: &str = "AgAAAAAAAAAAAAAAAAAAAA==";

fn admitted(token: &str, demand: Demand<Right>) -> Result<PolicyPermit<Right>, PolicyError<Right>> {
    let [primary, secondary] = [PRIMARY, SECONDARY].map(|key| KeyText::parse(key).unwrap());
    let reader = Policy {
        name: "Reader",
        keys: [&primary, &secondary],
        rights: &[Right::Read],
    };
    let token = UnverifiedToken::parse(token)?;
    admit(&token, [reader], demand, "host.example/things", NOW)
}

fn signed(resource: &str, policy: Option<&str>, expiry: Timestamp, key: &str) -> String {
    wire::sas::build(
        resource,
        policy,
        expiry,
        &SharedAccessKey::from_base64(key).unwrap(),
    )
}

#[test]
fn either_key_of_a_policy_signs_and_its_name_is_written_in_any_case() {
    for (name, key) in [
        ("Reader", PRIMARY),
        ("reader", PRIMARY),
        ("READER", SECONDARY),
    ] {
        let token = signed("host.example", Some(name), LATER, key);
        let permit = admitted(&token, Demand::Any(&[Right::Read])).unwrap();
        assert_eq!(permit.policy(), "Reader", "{name}");
        assert_eq!(permit.expiry(), LATER);
        assert!(permit.grants(&Right::Read) && !permit.grants(&Right::Write));
    }
}

#[test]
fn a_route_that_demands_no_right_admits_no_policy() {
    for demand in [Demand::All(&[][..]), Demand::Any(&[][..])] {
        let token = signed("host.example", Some("Reader"), LATER, PRIMARY);
        let refused = admitted(&token, demand).unwrap_err();
        assert!(matches!(refused, PolicyError::Lacks { .. }), "{refused}");
    }
}

#[test]
fn what_is_wrong_with_a_token_is_named() {
    let long_ago = NOW.minus(CLOCK_SKEW);
    let reader = Some("Reader");
    for (token, expected) in [
        (
            signed("host.example", None, LATER, PRIMARY),
            "names no policy",
        ),
        (
            signed("host.example", Some("Writer"), LATER, PRIMARY),
            "\"Writer\", which this service does not have",
        ),
        (signed("host.example", reader, LATER, STRANGER), "signature"),
        (signed("host.example", reader, long_ago, PRIMARY), "expired"),
        (
            signed("other.example", reader, LATER, PRIMARY),
            "other.example",
        ),
        ("Bearer abc".to_owned(), "another scheme"),
    ] {
        let found = admitted(&token, Demand::Any(&[Right::Read])).unwrap_err();
        assert!(found.to_string().contains(expected), "{found}");
    }
}

#[test]
fn a_policy_needs_one_right_or_all_as_the_route_demands() {
    let token = signed("host.example", Some("Reader"), LATER, PRIMARY);
    let lacking = |demand| match admitted(&token, demand) {
        Ok(_) => Vec::new(),
        Err(PolicyError::Lacks { rights, .. }) => rights,
        Err(other) => panic!("{other}"),
    };
    for (demand, expected) in [
        (Demand::Any(&[Right::Write, Right::Read][..]), &[][..]),
        (Demand::Any(&[Right::Write]), &[Right::Write]),
        (Demand::All(&[Right::Read]), &[]),
        (Demand::All(&[Right::Read, Right::Write]), &[Right::Write]),
    ] {
        assert_eq!(lacking(demand), expected, "{demand:?}");
    }
}
