//! Arguments of the agent's direct methods.
#![no_main]

use ids::Timestamp;
use libfuzzer_sys::fuzz_target;
use wire::edge_api::manifest::{
    LogsRequest, Moment, RestartRequest, SupportBundleRequest, TaskStatusRequest,
    UploadLogsRequest,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(argument) = wire::lenient::parse(data) {
        let _ = RestartRequest::parse(&argument);
        let _ = LogsRequest::parse(&argument);
        let _ = UploadLogsRequest::parse(&argument);
        let _ = SupportBundleRequest::parse(&argument);
        let _ = TaskStatusRequest::parse(&argument);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(moment) = Moment::parse(text)
    {
        let now = Timestamp::from_unix_seconds(1_000_000_000);
        if matches!(moment, Moment::Before(_)) {
            assert!(moment.unix_seconds(now) <= now.unix_seconds());
        }
    }
});
