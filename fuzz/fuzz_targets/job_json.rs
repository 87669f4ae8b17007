//! Bodies of jobs, direct methods and commands. What is stored of a job is read as it was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::service_api::job::{JobRequest, JobWork};
use wire::service_api::method::{MAX_NAME, MethodRequest};

fuzz_target!(|data: &[u8]| {
    if let Ok(job) = JobRequest::parse(data) {
        assert!((1..=30 * 24 * 3600).contains(&job.lifetime));
        assert_eq!(JobWork::parse(job.kind, &job.work_text), Ok(job.work));
    }
    if let Ok(method) = MethodRequest::parse(data) {
        holds(&method);
    }
    if let Ok(command) = MethodRequest::of_command("reboot", data, Some("5"), None) {
        holds(&command);
        assert_eq!((command.connect_timeout, command.response_timeout), (5, 30));
    }
});

fn holds(method: &MethodRequest) {
    assert!((1..=MAX_NAME).contains(&method.name.chars().count()));
    assert!(!method.name.contains(['/', '+', '#']));
    assert!((5..=300).contains(&method.response_timeout) && method.connect_timeout <= 300);
    if let Some(payload) = &method.payload {
        let read: Result<&serde_json::value::RawValue, _> = serde_json::from_slice(payload);
        assert!(read.is_ok(), "{payload:?}");
    }
}
