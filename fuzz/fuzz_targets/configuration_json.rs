//! Bodies of configurations and of tests of their queries. Content reads as it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::service_api::configuration::{ConfigurationRequest, Content, TestQueries};

fuzz_target!(|data: &[u8]| {
    let Ok(body) = wire::lenient::parse(data) else {
        return;
    };
    if let Ok(request) = ConfigurationRequest::parse(&body) {
        assert!(request.priority >= 0);
        if let Some(content) = request.content {
            assert_eq!(Content::from_json(&content.to_json()), Ok(content));
        }
    }
    let _ = Content::from_json(&body);
    let _ = TestQueries::parse(&body);
});
