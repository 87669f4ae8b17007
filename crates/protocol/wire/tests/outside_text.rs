//! Parsers of text that anybody may send: no input makes them panic, and what they accept they
//! write back the same.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

use std::time::Duration;

use ids::{DeviceId, ModuleId, Timestamp};
use proptest::prelude::*;
use wire::device_api::message::PropertyBag;
use wire::device_api::username::Username;
use wire::sas::{SharedAccessKey, UnverifiedToken, build};
use wire::topic::{DeviceTopic, Filter, HubTopic, ProvisioningRequest, ProvisioningResponse};

/// Text made of the pieces that the parsers look for, in any order, with noise between.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("$dps/registrations/"),
        Just("PUT/iotdps-register/?"),
        Just("GET/iotdps-get-operationstatus/?"),
        Just("res/"),
        Just("200"),
        Just("$rid="),
        Just("&"),
        Just("="),
        Just("?"),
        Just("/"),
        Just("%"),
        Just("%2F"),
        Just("%ff"),
        Just("operationId="),
        Just("$version="),
        Just("$iothub/twin/"),
        Just("$iothub/methods/"),
        Just("PATCH/properties/desired/"),
        Just("PATCH/properties/reported/?"),
        Just("POST/"),
        Just("devices/"),
        Just("d"),
        Just("/modules/"),
        Just("m"),
        Just("/messages/events/"),
        Just("messages/devicebound/#"),
        Just("registrations"),
        Just("api-version="),
        Just("1"),
        Just("ü"),
        Just("SharedAccessSignature "),
        Just("sr="),
        Just("sig="),
        Just("se="),
        Just("skn="),
        Just("+"),
        Just("#"),
        Just("\u{0}"),
    ];
    prop_oneof![
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        ".{0,80}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_a_parser_panic(text in text()) {
        let (device, module) = (DeviceId::parse("d").unwrap(), ModuleId::parse("m").unwrap());
        for module in [None, Some(&module)] {
            if let Ok(topic) = DeviceTopic::parse(&text, &device, module) {
                let again = DeviceTopic::parse(&topic.format(&device, module), &device, module);
                prop_assert_eq!(again, Ok(topic));
            }
            if let Ok(filter) = Filter::parse(&text, &device, module) {
                let parsed = Filter::parse(&filter.format(&device, module), &device, module);
                prop_assert_eq!(parsed, Ok(filter));
            }
        }
        if let Ok(topic) = HubTopic::parse(&text) {
            prop_assert_eq!(HubTopic::parse(&topic.to_string()), Ok(topic));
        }
        if let Ok(request) = ProvisioningRequest::parse(&text) {
            prop_assert_eq!(ProvisioningRequest::parse(&request.to_string()), Ok(request));
        }
        if let Ok(response) = ProvisioningResponse::parse(&text) {
            prop_assert_eq!(ProvisioningResponse::parse(&response.to_string()), Ok(response));
        }
        if let Ok(bag) = PropertyBag::decode(&text) {
            prop_assert_eq!(PropertyBag::decode(&bag.encode()), Ok(bag));
        }
        match Username::parse(&text) {
            Ok(Username::Hub(user)) => {
                prop_assert_eq!(Username::parse(&user.to_string()), Ok(Username::Hub(user)));
            }
            Ok(Username::Provisioning(user)) => prop_assert!(!user.api_version.is_empty()),
            Err(_) => {}
        }
        if let Ok(token) = UnverifiedToken::parse(&text) {
            let key = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
            let now = Timestamp::from_unix_seconds(0);
            let verified = token.verify([&key], "hub/devices/d", now, Duration::ZERO);
            prop_assert!(verified.is_err(), "it has no valid signature");
        }
    }

    #[test]
    fn a_built_token_verifies_for_its_resource_and_no_other(
        host in "[a-zA-Z0-9.-]{1,20}",
        device in "[a-zA-Z0-9:.+%_#*?!(),=@;$'-]{1,20}",
        policy in proptest::option::of("[a-zA-Z0-9 &=%]{1,12}"),
        key in proptest::collection::vec(any::<u8>(), 16..64),
        seconds in 1_i64..4_000_000_000,
    ) {
        prop_assume!(policy.as_deref() != Some("registration"));
        let key = SharedAccessKey::from_bytes(key).unwrap();
        let resource = format!("{host}/devices/{device}");
        let expiry = Timestamp::from_unix_seconds(seconds);
        let token = build(&resource, policy.as_deref(), expiry, &key);
        let token = UnverifiedToken::parse(&token).unwrap();
        prop_assert_eq!(token.policy(), policy.as_deref());
        let before = Timestamp::from_unix_seconds(seconds - 1);
        let verify = |requested: &str, now| token.verify([&key], requested, now, Duration::ZERO);
        let (inside, beside) = (format!("{resource}/modules/m"), format!("{resource}x"));
        prop_assert!(verify(&resource, before).is_ok());
        prop_assert!(verify(&inside, before).is_ok());
        prop_assert!(verify(&beside, before).is_err());
        prop_assert!(verify(&host, before).is_err());
        prop_assert!(verify(&resource, Timestamp::from_unix_seconds(seconds)).is_err());
    }
}
