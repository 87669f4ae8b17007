//! Bodies of the provisioning service's API: enrollments and groups, alone and in bulk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::service_api::enrollment::{BulkRequest, GroupRequest, IndividualRequest};

fuzz_target!(|data: &[u8]| {
    if let Ok(body) = wire::lenient::parse(data) {
        let _ = IndividualRequest::parse(&body);
        let _ = GroupRequest::parse(&body);
        let _ = BulkRequest::of_individuals(&body);
        let _ = BulkRequest::of_groups(&body);
    }
});
