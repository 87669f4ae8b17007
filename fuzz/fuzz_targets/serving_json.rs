//! Bodies of Muster's own operator API, and the connection strings in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::connection_string::ConnectionString;
use wire::muster_api::serving::{self, HostRequest, LinkRequest, PolicyRequest, RegenerateRequest, SettingsPatch};
use wire::muster_api::explain::ExplainRequest;

fuzz_target!(|body: &[u8]| {
    let _ = serving::parse::<HostRequest>(body);
    let _ = serving::parse::<LinkRequest>(body);
    let _ = serving::parse::<PolicyRequest>(body);
    let _ = serving::parse::<RegenerateRequest>(body);
    let _ = serving::parse::<SettingsPatch>(body);
    let _ = serving::parse::<ExplainRequest>(body);
    if let Ok(text) = std::str::from_utf8(body)
        && let Ok(parsed) = ConnectionString::parse(text)
    {
        assert_eq!(ConnectionString::parse(&parsed.reveal()), Ok(parsed));
    }
});
