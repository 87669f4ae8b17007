//! Bodies of Muster's own operator API, and the connection strings in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::connection_string::ConnectionString;
use wire::muster_api;
use wire::muster_api::explain::ExplainRequest;
use wire::muster_api::hub::HostRequest;
use wire::muster_api::linked_hub::LinkRequest;
use wire::muster_api::policy::{PolicyRequest, RegenerateRequest};
use wire::muster_api::service::SettingsPatch;

fuzz_target!(|body: &[u8]| {
    let _ = muster_api::parse::<HostRequest>(body);
    let _ = muster_api::parse::<LinkRequest>(body);
    let _ = muster_api::parse::<PolicyRequest>(body);
    let _ = muster_api::parse::<RegenerateRequest>(body);
    let _ = muster_api::parse::<SettingsPatch>(body);
    let _ = muster_api::parse::<ExplainRequest>(body);
    if let Ok(text) = std::str::from_utf8(body)
        && let Ok(parsed) = ConnectionString::parse(text)
    {
        assert_eq!(ConnectionString::parse(&parsed.reveal()), Ok(parsed));
    }
});
