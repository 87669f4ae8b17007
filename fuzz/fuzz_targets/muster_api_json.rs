//! Bodies of Muster's own operator API, and the connection strings in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::connection_string::ConnectionString;
use wire::muster_api;
use wire::muster_api::block::BlockRequest;
use wire::muster_api::consumer_group::Checkpoint;
use wire::muster_api::explain::ExplainRequest;
use wire::muster_api::hub::HostRequest;
use wire::muster_api::linked_hub::LinkRequest;
use wire::muster_api::policy::{PolicyRequest, RegenerateRequest};
use wire::muster_api::rollout::RolloutRequest;
use wire::muster_api::routing::{Routing, TestRouteRequest, TestRoutesRequest};
use wire::muster_api::service::SettingsPatch;

fuzz_target!(|body: &[u8]| {
    let _ = muster_api::parse::<HostRequest>(body);
    let _ = muster_api::parse::<LinkRequest>(body);
    let _ = muster_api::parse::<PolicyRequest>(body);
    let _ = muster_api::parse::<RegenerateRequest>(body);
    let _ = muster_api::parse::<SettingsPatch>(body);
    let _ = muster_api::parse::<ExplainRequest>(body);
    let _ = muster_api::parse::<BlockRequest>(body);
    let _ = muster_api::parse::<Checkpoint>(body);
    let _ = muster_api::parse::<RolloutRequest>(body);
    let _ = muster_api::parse::<Routing>(body);
    let _ = muster_api::parse::<TestRouteRequest>(body);
    let _ = muster_api::parse::<TestRoutesRequest>(body);
    if let Ok(text) = std::str::from_utf8(body)
        && let Ok(parsed) = ConnectionString::parse(text)
    {
        assert_eq!(ConnectionString::parse(&parsed.reveal()), Ok(parsed));
    }
});
