//! The events of hubs: each hub's are its own, whatever happens to others, to disks
//! and to older versions.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "telemetry/older_log.rs"]
mod older_log;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ids::{HubName, Timestamp};
use registry::{
    Event, Init, Registry, Retention, SystemEntropy, TelemetryLimits, TelemetryRetention,
};
use wire::telemetry::EventSource;

fn name(text: &str) -> HubName {
    text.parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

async fn open_with(directory: &Path, telemetry: TelemetryRetention) -> Registry {
    let init = Init {
        rehearse: false,
        hub_name: name("hub"),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let retention = Retention {
        telemetry,
        ..Retention::default()
    };
    Registry::open(directory, init, retention, at(1))
        .await
        .unwrap()
}

async fn open(directory: &Path) -> Registry {
    open_with(directory, TelemetryRetention::default()).await
}

fn event(hub: &str, second: i64, body: &[u8]) -> Event {
    Event {
        hub: name(hub),
        device: "d".parse().unwrap(),
        module: None,
        enqueued: at(second),
        source: EventSource::DeviceMessages,
        sender: None,
        properties: Vec::new(),
        body: body.to_vec(),
    }
}

/// Numbers and bodies of all events of a hub.
async fn events(registry: &Registry, hub: &str) -> Vec<(u64, Vec<u8>)> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = registry.read_events(&name(hub), after, 1000).await.unwrap();
        assert_eq!(page.missing, [], "{hub}");
        if page.events.is_empty() {
            return all;
        }
        after = page.next;
        let pair = |stored: registry::StoredEvent| (stored.offset, stored.event.body);
        all.extend(page.events.into_iter().map(pair));
    }
}

async fn second_hub(registry: &Registry) {
    let host = "second.test".parse().unwrap();
    registry
        .create_hub(name("second"), host, at(1))
        .await
        .unwrap();
}

// B1.
#[tokio::test]
async fn no_hub_pushes_out_what_another_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let small = TelemetryLimits {
        bytes: 1 << 20,
        keep: None,
    };
    let telemetry = TelemetryRetention {
        usual: TelemetryLimits::default(),
        of_hubs: vec![(name("HUB"), small)],
    };
    let registry = open_with(directory.path(), telemetry).await;
    second_hub(&registry).await;
    let quiet = event("second", 1, b"kept");
    registry.append_telemetry(&quiet).await.unwrap();
    for second in 0..40 {
        let loud = event("hub", second, &vec![7; 100_000]);
        registry.append_telemetry(&loud).await.unwrap();
    }
    assert_eq!(events(&registry, "second").await, [(1, b"kept".to_vec())]);
    let kept = events(&registry, "hub").await;
    assert!(
        kept.len() < 11 && kept.last().unwrap().0 == 40,
        "{}",
        kept.len()
    );
    let mut states = registry.telemetry_state().await;
    states.sort_by(|a, b| a.hub.cmp(&b.hub));
    let [hub, second] = states.try_into().unwrap();
    assert!(hub.bytes <= 1 << 20, "{}", hub.bytes);
    assert_eq!(hub.oldest, Some(at(i64::try_from(kept[0].0).unwrap() - 1)));
    assert_eq!((second.oldest, second.failing), (Some(at(1)), false));
}

// B1.
#[tokio::test]
async fn events_go_when_they_are_as_old_as_they_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let usual = TelemetryLimits {
        keep: Some(Duration::from_secs(100)),
        ..TelemetryLimits::default()
    };
    let telemetry = TelemetryRetention {
        usual,
        of_hubs: Vec::new(),
    };
    let registry = open_with(directory.path(), telemetry).await;
    registry
        .append_telemetry(&event("hub", 10, b"old"))
        .await
        .unwrap();
    registry.expire_telemetry(at(60)).await;
    assert_eq!(events(&registry, "hub").await.len(), 1);
    registry
        .append_telemetry(&event("hub", 90, b"young"))
        .await
        .unwrap();
    registry.expire_telemetry(at(150)).await;
    // The next event is behind what was asked for.
    registry
        .append_telemetry(&event("hub", 150, b"new"))
        .await
        .unwrap();
    let kept = events(&registry, "hub").await;
    assert_eq!(kept, [(2, b"young".to_vec()), (3, b"new".to_vec())]);
}

#[tokio::test]
async fn a_hub_of_a_deleted_hubs_name_has_none_of_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    second_hub(&registry).await;
    registry
        .append_telemetry(&event("second", 1, b"theirs"))
        .await
        .unwrap();
    registry.delete_hub(&name("second"), at(2)).await.unwrap();
    let gone = registry
        .append_telemetry(&event("second", 1, b"late"))
        .await;
    assert!(gone.is_err());
    assert!(!directory.path().join("events/second").exists());
    // As after an end between the deletion and the deletion of the files.
    std::fs::create_dir(directory.path().join("events/second")).unwrap();
    std::fs::write(directory.path().join("events/second/rest"), "x").unwrap();
    second_hub(&registry).await;
    assert!(events(&registry, "second").await.is_empty());
    assert!(!directory.path().join("events/second/rest").exists());
}

#[tokio::test]
async fn a_hub_that_is_not_made_takes_nobodys_events() {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    registry
        .append_telemetry(&event("hub", 1, b"kept"))
        .await
        .unwrap();
    for taken in ["hub", "HUB"] {
        let host = "another.test".parse().unwrap();
        let refused = registry.create_hub(name(taken), host, at(1)).await;
        assert!(refused.is_err());
        assert!(registry.delete_hub(&name(taken), at(2)).await.is_err());
    }
    drop(registry);
    let registry = open(directory.path()).await;
    assert_eq!(events(&registry, "hub").await, [(1, b"kept".to_vec())]);
}

// B3.
#[tokio::test]
async fn one_damaged_event_is_said_to_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    for body in [b"one", b"two", b"end"] {
        registry
            .append_telemetry(&event("hub", 1, body))
            .await
            .unwrap();
    }
    drop(registry);
    let [file] = files(&directory.path().join("events/hub"))
        .try_into()
        .unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let place = bytes
        .windows(3)
        .position(|window| window == b"two")
        .unwrap();
    bytes[place] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let registry = open(directory.path()).await;
    let page = registry.read_events(&name("hub"), 0, 10).await.unwrap();
    let read: Vec<_> = page.events.iter().map(|stored| stored.offset).collect();
    assert_eq!(
        (read, page.missing, page.next),
        (vec![1, 3], vec![2..=2], 3)
    );
}

// B2.
#[tokio::test]
async fn readiness_tells_that_events_cannot_be_kept_and_that_they_can_again() {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    // Where the folder is to be, there is something else.
    let in_the_way = directory.path().join("events/hub");
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "").unwrap();
    registry.require_writable().await.unwrap();
    let refused = registry.append_telemetry(&event("hub", 1, b"a")).await;
    assert!(refused.is_err());
    assert!(registry.require_writable().await.is_err());
    assert!(registry.telemetry_state().await[0].failing);
    std::fs::remove_file(&in_the_way).unwrap();
    registry.require_writable().await.unwrap();
    assert!(!registry.telemetry_state().await[0].failing);
    let kept = registry.append_telemetry(&event("hub", 1, b"a")).await;
    assert_eq!(kept.unwrap(), 1);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
