//! Endpoints and consumer groups, which read the event log of a hub, and what becomes of them when
//! what is stored is older than they are, or damaged.

use std::path::Path;

use registry::{ConsumerGroupRecord, EndpointCursor, IfMatch, Registry};
use serde_json::json;
use store::DataDirectory;
use wire::muster_api::routing::Routing;

use crate::events::event;
use crate::unreadable::corrupt;
use crate::{Bench, hub};

fn routing() -> Routing {
    let webhook = |name: &str| json!({"name": name, "url": "https://hook.example/in"});
    serde_json::from_value(json!({
        "endpoints": {"webhooks": [webhook("hook-one"), webhook("other")]},
        "routes": [{"name": "r", "source": "DeviceMessages", "endpointNames": ["hook-one"]}],
    }))
    .unwrap()
}

async fn put_routing(bench: &Bench) {
    let registry = &bench.registry;
    registry
        .put_routing(&hub(), routing(), &IfMatch::Any, bench.now())
        .await
        .unwrap();
}

async fn put_group(bench: &Bench, name: &str) {
    let (hub, name) = (hub(), name.parse().unwrap());
    let put = bench.registry.put_consumer_group(&hub, &name, bench.now());
    put.await.unwrap();
}

async fn cursors(registry: &Registry) -> Vec<(String, u64)> {
    let cursors = registry.endpoint_cursors(&hub()).await.unwrap();
    let pair = |cursor: EndpointCursor| (cursor.endpoint.to_string(), cursor.position);
    cursors.into_iter().map(pair).collect()
}

async fn groups(registry: &Registry) -> Vec<(String, Option<u64>)> {
    let groups = registry.consumer_groups(&hub()).await.unwrap();
    let pair = |group: ConsumerGroupRecord| {
        let offset = group.checkpoint.map(|(offset, _)| offset);
        (group.name.to_string(), offset)
    };
    groups.into_iter().map(pair).collect()
}

async fn append(bench: &Bench) -> u64 {
    let event = event(bench, "telemetry");
    bench.registry.append_telemetry(&event).await.unwrap()
}

/// Both readers have everything.
async fn read_all(bench: &Bench, last: u64) {
    let (registry, hub) = (&bench.registry, hub());
    let group = "group".parse().unwrap();
    let kept = registry.checkpoint(&hub, &group, last, bench.now());
    kept.await.unwrap();
    let mut all = registry.endpoint_cursors(&hub).await.unwrap();
    let mut cursor = all.remove(0);
    cursor.position = last;
    registry.advance_endpoint(&hub, cursor).await.unwrap();
}

pub(crate) async fn readers_that_are_further_than_a_restored_log_go_on_with_the_next(bench: Bench) {
    put_routing(&bench).await;
    put_group(&bench, "group").await;
    append(&bench).await;
    let earlier = |directory: &Path| directory.join("earlier");
    let bench = bench
        .reopened_after(|directory| copy(&DataDirectory::events(directory), &earlier(directory)))
        .await;
    let last = append(&bench).await;
    read_all(&bench, last).await;
    let bench = bench.reopened().await;
    assert_eq!(positions(&bench).await, (last, last));

    // The log of an earlier day: what it has was delivered.
    let bench = bench
        .reopened_after(|directory| {
            let events = DataDirectory::events(directory);
            std::fs::remove_dir_all(&events).unwrap();
            std::fs::rename(earlier(directory), events).unwrap();
        })
        .await;
    assert_eq!(positions(&bench).await, (1, 1));
    assert!(append(&bench).await > 1);

    // No log.
    let bench = bench
        .reopened_after(|directory| {
            std::fs::remove_dir_all(DataDirectory::events(directory)).unwrap();
        })
        .await;
    assert_eq!(positions(&bench).await, (0, 0));
    assert_eq!(append(&bench).await, 1);
    read_all(&bench, 1).await;
    assert_eq!(positions(&bench).await, (1, 1));
}

/// Of the endpoint and of the group.
async fn positions(bench: &Bench) -> (u64, u64) {
    let endpoint = cursors(&bench.registry).await.remove(0).1;
    let group = groups(&bench.registry).await.remove(1).1;
    (endpoint, group.unwrap())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.unwrap(), to.to_owned());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
}

pub(crate) async fn damaged_routing_stops_no_start_and_can_be_written_again(bench: Bench) {
    put_routing(&bench).await;
    for name in ["group-one", "other-group"] {
        put_group(&bench, name).await;
    }
    let bench = corrupt(bench, "hook-one", "hook/one").await;
    let bench = corrupt(bench, "group-one", "group/one").await;
    let registry = &bench.registry;
    let read = registry.routing(&hub()).await.unwrap();
    assert_eq!(read.document, Routing::default());
    assert_eq!(cursors(registry).await, [("other".to_owned(), 0)]);
    let names = ["$Default", "other-group"].map(|name| (name.to_owned(), None));
    assert_eq!(groups(registry).await, names);
    append(&bench).await;

    put_routing(&bench).await;
    put_group(&bench, "group-one").await;
    let both = [("hook-one".to_owned(), 1), ("other".to_owned(), 0)];
    assert_eq!(cursors(registry).await, both);
    let names = ["$Default", "group-one", "other-group"].map(|name| (name.to_owned(), None));
    assert_eq!(groups(registry).await, names);
}
