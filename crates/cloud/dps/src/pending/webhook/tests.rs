use ids::{HubHost, HubName};
use wire::service_api::allocation::{CustomAllocation, WebhookUrl, WebhookVersion};

use super::*;

fn question() -> WebhookQuestion {
    let hub =
        |name: &str, host: &str| (HubName::parse(name).unwrap(), HubHost::parse(host).unwrap());
    WebhookQuestion {
        definition: CustomAllocation {
            webhook_url: WebhookUrl::parse("https://a.example/?code=secret").unwrap(),
            api_version: WebhookVersion::parse("2021-10-01").unwrap(),
        },
        input: "{}".to_owned(),
        hubs: vec![hub("a", "a.example:8443"), hub("b", "b.example")],
        skipped: Vec::new(),
    }
}

fn answered(status: u16, body: &str) -> Result<Choice, WebhookFault> {
    let answer = OutboundAnswer {
        status,
        body: body.as_bytes().to_vec(),
        ..OutboundAnswer::default()
    };
    read(&answer, &question())
}

#[test]
fn a_hub_is_found_by_its_host_in_any_case_and_with_or_without_port() {
    for (host, name) in [
        ("A.example:8443", "a"),
        ("a.example", "a"),
        ("B.EXAMPLE", "b"),
    ] {
        let choice = answered(200, &format!("{{\"iotHubHostName\":\"{host}\"}}")).unwrap();
        assert_eq!(choice.hub.as_str(), name);
    }
}

#[test]
fn what_cannot_be_used_is_a_failure_with_its_status() {
    for (status, body, text, again) in [
        (400, "", "status code: 400", false),
        (404, "{}", "status code: 404", false),
        (302, "", "status code: 302", false),
        (429, "", "status code: 429", true),
        (500, "", "status code: 500", true),
        (
            200,
            "",
            "status code: 200: the webhook's answer cannot be used",
            false,
        ),
        (200, "<html>", "not JSON", false),
        (200, "{}", "'iotHubHostName': is missing", false),
        (
            200,
            r#"{"iotHubHostName":"c.example"}"#,
            "not one of linkedHubs",
            false,
        ),
        (
            200,
            r#"{"iotHubHostName":"b.example","initialTwin":{"tags":{"a.b":1}}}"#,
            "no device may have",
            false,
        ),
    ] {
        let fault = answered(status, body).unwrap_err();
        assert!(fault.to_string().contains(text), "{fault}");
        assert!(
            fault
                .to_string()
                .starts_with("Custom allocation failed with status code: ")
        );
        assert_eq!(fault.may_pass(), again, "{fault}");
    }
}

#[test]
fn the_note_holds_no_key() {
    let outcome = Err(WebhookFault::Status(400));
    let text = serde_json::to_string(&note(&question(), None, &outcome)).unwrap();
    assert!(text.contains("****") && !text.contains("secret"), "{text}");
}
