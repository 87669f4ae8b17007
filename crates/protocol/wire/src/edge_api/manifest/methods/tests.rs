use std::time::Duration;

use ids::Timestamp;
use serde_json::json;

use super::*;

#[test]
fn a_request_for_logs_is_read_with_all_its_filters() {
    let request = LogsRequest::parse(&json!({
        "schemaVersion": "1.0",
        "items": [{"id": "temp.*", "filter": {"tail": "10", "since": "1h", "until": 1_700_000_000,
            "loglevel": 3, "regex": "\\bfailed\\b"}}, {"id": "all"}],
        "encoding": "gzip",
        "contentType": "JSON",
    }))
    .unwrap();
    assert_eq!(
        request.items[0].filter,
        LogsFilter {
            tail: Some(10),
            since: Some(Moment::Before(Duration::from_secs(3600))),
            until: Some(Moment::At(1_700_000_000)),
            log_level: Some(3),
            regex: Some("\\bfailed\\b".to_owned()),
        }
    );
    assert_eq!(request.items[1].filter, LogsFilter::default());
    assert_eq!(
        (request.encoding, request.content),
        (LogsEncoding::Gzip, LogsContent::Json)
    );
}

#[test]
fn members_of_the_wrong_form_are_refused_with_their_path() {
    let error = |members: Value| {
        let mut argument = json!({"schemaVersion": "1.0", "items": [{"id": "m"}]});
        for (name, value) in members.as_object().unwrap() {
            argument[name] = value.clone();
        }
        LogsRequest::parse(&argument).unwrap_err().to_string()
    };
    let filter = |filter: Value| error(json!({"items": {"id": "m", "filter": filter}}));
    assert!(filter(json!({"tail": -1})).contains("tail"));
    assert!(filter(json!({"loglevel": 8})).contains("loglevel"));
    assert!(filter(json!({"since": "yesterday"})).contains("since"));
    assert!(filter(json!({"regex": "x".repeat(1025)})).contains("regex"));
    assert!(error(json!({"encoding": "zip"})).contains("none, gzip"));
    assert!(error(json!({"contentType": "xml"})).contains("text, json"));
    assert!(error(json!({"items": [{}]})).contains("id"));
    assert!(error(json!({"items": 5})).contains("items"));
    assert!(error(json!({"schemaVersion": "2.0"})).contains("schemaVersion"));
}

#[test]
fn moments_are_read_in_each_form() {
    let now = Timestamp::from_unix_seconds(1_000_000_000);
    for (text, ago) in [
        ("90m", 5400),
        ("1 d", 86400),
        ("2 days 3 hours 2 minutes", 2 * 86400 + 3 * 3600 + 120),
        ("1h30m", 5400),
        ("1 Week", 7 * 86400),
        ("5 secs", 5),
    ] {
        let moment = Moment::parse(text).unwrap();
        assert_eq!(moment.unix_seconds(now), 1_000_000_000 - ago, "{text}");
    }
    assert_eq!(Moment::parse("1600000000"), Some(Moment::At(1_600_000_000)));
    assert_eq!(
        Moment::parse("2001-09-09T01:46:40Z"),
        Some(Moment::At(1_000_000_000))
    );
    for wrong in [
        "",
        "h",
        "1",
        "5 parsecs",
        "1h x",
        "99999999999999999999d",
        "-1h",
    ] {
        let read = Moment::parse(wrong);
        assert!(read.is_none() || wrong == "1", "{wrong}: {read:?}");
    }
}

/// The signature in the URL lets anybody write into the container.
#[test]
fn a_sas_url_is_not_in_debug_output() {
    let argument = json!({"schemaVersion": "1.0", "items": [], "sasUrl": "https://x/c?sig=secret"});
    let upload = UploadLogsRequest::parse(&argument).unwrap();
    let bundle = SupportBundleRequest::parse(&argument).unwrap();
    for text in [format!("{upload:?}"), format!("{bundle:?}")] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn the_status_of_a_task_is_written_as_azures() {
    let status = TaskStatus {
        status: TaskRunStatus::NotStarted,
        message: String::new(),
        correlation_id: "id".to_owned(),
    };
    assert_eq!(
        serde_json::to_value(status).unwrap(),
        json!({"status": "NotStarted", "message": "", "correlationId": "id"})
    );
}
