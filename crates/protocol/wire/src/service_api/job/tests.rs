use serde_json::json;

use super::*;

fn parse(body: &serde_json::Value) -> Result<JobRequest, BodyError> {
    JobRequest::parse(body.to_string().as_bytes())
}

/// As `az iot hub job create` sends it.
#[test]
fn twin_updates_are_read_and_kept_as_they_were_sent() {
    let body = json!({"jobId": "j1", "type": "scheduleUpdateTwin",
        "updateTwin": {"tags": {"deviceClass": "Class1"}, "etag": "*"},
        "queryCondition": "*", "maxExecutionTimeInSeconds": 300,
        "startTime": "2026-11-29T10:00:00.123456"});
    let request = parse(&body).unwrap();
    let JobWork::Twin(change, etag) = &request.work else {
        panic!("{request:?}")
    };
    assert!(change.tags.is_some() && etag.is_none());
    assert_eq!(request.lifetime, 300);
    assert!(request.work_text.contains("\"etag\":\"*\""));
    let start = request.start.unwrap();
    assert_eq!(start.in_seconds(), "2026-11-29T10:00:00Z");
}

#[test]
fn methods_keep_the_digits_of_their_payload() {
    let body = br#"{"type": "scheduleDeviceMethod", "cloudToDeviceMethod":
        {"methodName": "m", "payload": {"n": 18446744073709551616}, "responseTimeoutInSeconds": "7"},
        "queryCondition": "FROM devices.modules"}"#;
    let request = JobRequest::parse(body).unwrap();
    let JobWork::Method(method) = &request.work else {
        panic!("{request:?}")
    };
    assert_eq!(method.response_timeout, 7);
    assert!(request.work_text.contains("18446744073709551616"));
    assert_eq!(
        JobWork::parse(request.kind, &request.work_text).unwrap(),
        request.work
    );
}

#[test]
fn what_is_wrong_is_named() {
    let twin = json!({"tags": {"a": 1}});
    for (body, place) in [
        (json!({}), "type"),
        (json!({"type": "import"}), "type"),
        (json!({"type": "scheduleUpdateTwin"}), "updateTwin"),
        (
            json!({"type": "scheduleUpdateTwin", "updateTwin": {}}),
            "updateTwin",
        ),
        (
            json!({"type": "scheduleDeviceMethod", "cloudToDeviceMethod": {}}),
            "cloudToDeviceMethod.methodName",
        ),
        (
            json!({"type": "scheduleUpdateTwin", "updateTwin": twin, "startTime": "soon"}),
            "startTime",
        ),
        (
            json!({"type": "scheduleUpdateTwin", "updateTwin": twin,
            "maxExecutionTimeInSeconds": -1}),
            "maxExecutionTimeInSeconds",
        ),
        (
            json!({"type": "scheduleUpdateTwin", "updateTwin": twin, "jobId": "a b"}),
            "jobId",
        ),
    ] {
        assert_eq!(parse(&body).unwrap_err().path, place);
    }
}
