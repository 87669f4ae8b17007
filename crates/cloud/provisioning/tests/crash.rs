//! A server that is killed in the middle loses nothing that it acknowledged, and
//! leaves nothing half done.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

use provisioning::Provisioning;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ids::{DeviceId, EnrollmentId, HubName, RegistrationId, Timestamp};
use registry::{Init, PageRequest, SystemEntropy};

/// What the child said before it was killed.
#[derive(Default)]
struct Acknowledged {
    devices: Vec<u64>,
    /// Offset to the number of the device that sent the event.
    events: HashMap<u64, u64>,
}

fn child() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let child = profile.join("examples/acknowledged_writes");
    assert!(
        child.exists(),
        "{} is missing: build it with `cargo build -p provisioning --examples`",
        child.display()
    );
    child
}

/// Runs the child until it has said `lines` lines, kills it with SIGKILL and reads the rest
/// of what it said.
fn run_and_kill(directory: &Path, first: u64, lines: usize, said: &mut Acknowledged) {
    let mut child = Command::new(child())
        .arg(directory)
        .arg(first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let reader = BufReader::new(child.stdout.take().unwrap());
    for (number, line) in reader.lines().enumerate() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        match words.as_slice() {
            ["device", number] => said.devices.push(number.parse().unwrap()),
            ["event", offset, number] => {
                said.events
                    .insert(offset.parse().unwrap(), number.parse().unwrap());
            }
            // The last line may be cut off by the kill.
            _ => assert!(number >= lines, "{line}"),
        }
        if number + 1 == lines {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "the child was killed");
}

async fn check(directory: &Path, said: &Acknowledged) {
    let hub = HubName::parse("hub").unwrap();
    let init = Init {
        rehearse: false,
        hub_name: hub.clone(),
        hub_host: "localhost".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let provisioning = Provisioning::open(
        directory,
        init,
        Default::default(),
        Timestamp::from_unix_seconds(1),
    )
    .await
    .unwrap();
    acknowledged_devices_are_there(&provisioning, &hub, said).await;
    let devices = every_device_is_whole(&provisioning, &hub).await;
    let records = count_registrations(&provisioning).await;
    assert_eq!(records, devices, "as many registrations as devices");
    acknowledged_events_are_there(&provisioning, &hub, said).await;
}

async fn acknowledged_devices_are_there(
    provisioning: &Provisioning,
    hub: &HubName,
    said: &Acknowledged,
) {
    for number in &said.devices {
        let name = format!("d{number}");
        let record = provisioning
            .registration(&RegistrationId::parse(&name).unwrap())
            .await
            .unwrap();
        assert!(
            record.is_some_and(|record| record.assignment().is_some()),
            "registration {name} is lost"
        );
        provisioning
            .registry()
            .device(hub, &DeviceId::parse(&name).unwrap())
            .await
            .unwrap();
    }
}

/// Also what was not acknowledged is there whole or not at all; how many devices there are.
async fn every_device_is_whole(provisioning: &Provisioning, hub: &HubName) -> usize {
    let mut page = PageRequest::first(1000);
    let mut devices = 0;
    loop {
        let answer = provisioning
            .registry()
            .list_devices(hub, &page)
            .await
            .unwrap();
        for device in answer.items {
            devices += 1;
            let name = device.device_id.as_str();
            let record = provisioning
                .registration(&RegistrationId::parse(name).unwrap())
                .await
                .unwrap();
            assert!(record.is_some(), "device {name} has no registration");
            let modules = provisioning
                .registry()
                .list_modules(hub, &device.device_id)
                .await
                .unwrap();
            assert_eq!(modules.len(), 2, "device {name} has its system modules");
        }
        let Some(next) = answer.continuation else {
            break;
        };
        page.after = Some(next);
    }
    devices
}

async fn count_registrations(provisioning: &Provisioning) -> usize {
    let group = EnrollmentId::parse("group").unwrap();
    let mut page = PageRequest::first(1000);
    let mut records = 0;
    loop {
        let answer = provisioning
            .list_registrations(&group, &page)
            .await
            .unwrap();
        records += answer.items.len();
        let Some(next) = answer.continuation else {
            break;
        };
        page.after = Some(next);
    }
    records
}

async fn acknowledged_events_are_there(
    provisioning: &Provisioning,
    hub: &HubName,
    said: &Acknowledged,
) {
    for (offset, number) in &said.events {
        let read = provisioning
            .registry()
            .read_events(hub, offset - 1, 1)
            .await
            .unwrap();
        let read = read.events;
        assert_eq!(
            (read[0].offset, &read[0].event.body),
            (*offset, &format!("d{number}").into_bytes())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_nine() {
    let directory = tempfile::tempdir().unwrap();
    let mut said = Acknowledged::default();
    let mut first = 1;
    // Killed early (while it initialises or writes its first group), later, and again and again on
    // the same directory.
    for _ in 0..6 {
        let lines = rand::random_range(1..400);
        run_and_kill(directory.path(), first, lines, &mut said);
        check(directory.path(), &said).await;
        // Beyond everything the child may have begun.
        first += 1_000_000;
    }
    assert!(said.devices.len() > 5 && !said.events.is_empty());
}

#[tokio::test]
async fn a_kill_during_initialisation_leaves_an_empty_or_a_whole_service() {
    for _ in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let mut child = Command::new(child())
            .arg(directory.path())
            .arg("1")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Until the database file appears: the child is then somewhere between creating and
        // initialising it.
        while !directory.path().join("muster.db").exists() {
            tokio::task::yield_now().await;
        }
        for _ in 0..rand::random_range(0..20_000) {
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        check(directory.path(), &Acknowledged::default()).await;
        let described = Provisioning::describe(directory.path()).unwrap();
        assert_eq!(
            (
                described.local.hubs.len(),
                described.local.hubs[0].policies.len(),
                described.services[0].policies.len()
            ),
            (1, 5, 1)
        );
    }
}
