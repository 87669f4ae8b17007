use ids::{DeviceId, EnrollmentId, Etag, Thumbprint};
use proptest::prelude::*;
use registry::InitialTwin;
use wire::service_api::allocation::{WebhookUrl, WebhookVersion};

use super::*;
use crate::registration::{DeviceProof, EnrolledBy, ReprovisionPolicy};

fn began() -> Timestamp {
    Timestamp::from_unix_seconds(1_000_000)
}

fn pending() -> PendingRegistration {
    let registrant = Registrant {
        registration_id: RegistrationId::parse("d").unwrap(),
        enrollment: EnrolledBy::Group(EnrollmentId::parse("g").unwrap()),
        enrollment_etag: Etag::parse("1").unwrap(),
        device_id: DeviceId::parse("d").unwrap(),
        iot_edge: false,
        proof: DeviceProof::Certificate(Thumbprint::from_bytes([1; 32])),
        initial_twin: InitialTwin::default(),
        policy: ReprovisionPolicy::MigrateData,
        detail: None,
        by_secondary: false,
        issued: None,
    };
    let question = WebhookQuestion {
        definition: CustomAllocation {
            webhook_url: WebhookUrl::parse("https://a.example").unwrap(),
            api_version: WebhookVersion::parse("2021-10-01").unwrap(),
        },
        input: "{}".to_owned(),
        hubs: Vec::new(),
        skipped: Vec::new(),
    };
    PendingRegistration::new(registrant, PendingStep::AskWebhook(question), began())
}

fn placement() -> PendingRegistration {
    let choice = Choice {
        hub: "remote".parse().unwrap(),
        twin: None,
        payload: Some(serde_json::json!({"welcome": true})),
        skipped: Vec::new(),
    };
    pending().placed_next(choice, AllocationNote::default(), began())
}

/// As it was stored when only webhooks were asked, under the names of that time.
#[test]
fn what_was_stored_before_there_were_remote_hubs_is_read() {
    let mut stored = serde_json::to_value(pending()).unwrap();
    let question = serde_json::json!({
        "definition": {"webhookUrl": "https://a.example", "apiVersion": "2021-10-01"},
        "input": "{}", "hubs": [],
    });
    let document = stored.as_object_mut().unwrap();
    let written = document.remove("step").unwrap();
    let mut names = question.as_object().unwrap().keys();
    assert!(names.all(|name| written.get(name).is_some()));
    document.insert("question".to_owned(), question);
    let registrant = document["registrant"].as_object_mut().unwrap();
    let etag = registrant.remove("enrollment_etag").unwrap();
    registrant.insert("entry".to_owned(), etag);
    assert!(stored.get("plan").is_none());
    assert_eq!(
        serde_json::from_value::<PendingRegistration>(stored).unwrap(),
        pending()
    );
    let note = r#"{"webhook":{"webhookUrl":"https://a.example","apiVersion":"2021-10-01"},"input":{"a":1},"status":200}"#;
    let note: AllocationNote = serde_json::from_str(note).unwrap();
    assert_eq!(
        (note.input, note.status),
        (Some(serde_json::json!({"a": 1})), Some(200))
    );
}

#[test]
fn a_device_that_is_being_placed_is_stored_and_read_back() {
    let text = serde_json::to_string(&placement()).unwrap();
    assert_eq!(
        serde_json::from_str::<PendingRegistration>(&text).unwrap(),
        placement()
    );
    assert_eq!(placement().step.destination(), "hub remote");
    assert_eq!(pending().step.destination(), "a.example");
    assert!(!placement().is_same_as(&pending()));
}

#[test]
fn a_hub_is_asked_five_times_with_pauses_that_double() {
    let (mut placement, mut pauses) = (placement(), Vec::new());
    let mut now = began();
    while let Some(next) = placement.clone().postponed(now, 1.0) {
        pauses.push(next.due.since(now).as_secs());
        now = next.due;
        placement = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8]);
    assert!(
        !placement.is_stale(now.plus(Duration::from_secs(10_000))),
        "it had its turn"
    );
}

#[test]
fn many_may_wait_long_for_their_turn_at_a_hub() {
    let later = |seconds| began().plus(Duration::from_secs(seconds));
    assert!(!placement().is_stale(later(600)));
    assert!(placement().is_stale(later(601)));
    assert!(pending().is_stale(later(31)));
}

#[test]
fn it_is_stored_and_read_back() {
    let text = serde_json::to_string(&pending()).unwrap();
    assert_eq!(
        serde_json::from_str::<PendingRegistration>(&text).unwrap(),
        pending()
    );
}

#[test]
fn a_device_that_brings_another_certificate_asks_anew() {
    let mut other = pending();
    assert!(pending().is_same_as(&other));
    other.registrant.proof = DeviceProof::Certificate(Thumbprint::from_bytes([2; 32]));
    assert!(!pending().is_same_as(&other));
}

proptest! {
    /// Whatever time each try takes (a caller gives it ten seconds at most) and however long it
    /// waited for its turn: the device hears what became of it within a minute of server's time.
    #[test]
    fn it_ends_within_a_minute(
        waits in prop::collection::vec(0_u64..120, 1..6),
        tries in prop::collection::vec(0_u64..=10, 6),
        chance in 0.0..=1.0,
        downtime in 0_u64..1_000_000,
    ) {
        let started = began().plus(Duration::from_secs(downtime));
        let mut pending = pending().resumed(started);
        let mut now = started;
        let mut asked = 0;
        for (wait, takes) in waits.into_iter().zip(tries) {
            now = now.max(pending.due).plus(Duration::from_secs(wait));
            if pending.is_stale(now) {
                break;
            }
            now = now.plus(Duration::from_secs(takes));
            asked += 1;
            prop_assert!(now.since(started) <= Duration::from_secs(60));
            match pending.clone().postponed(now, chance) {
                Some(next) => {
                    prop_assert!(next.due > now && next.tries == pending.tries + 1);
                    pending = next;
                }
                None => break,
            }
        }
        prop_assert!(asked <= QUESTIONS);
    }
}
