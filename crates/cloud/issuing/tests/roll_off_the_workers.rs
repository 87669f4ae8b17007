//! A token may take seconds to sign: meanwhile the threads that answer requests go on.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use ca::DeviceIssuers;
use ids::{IssuerName, Timestamp};
use issuing::roll;
use provisioning::{IssuerDraft, Provisioning};
use registry::{Init, SystemEntropy};
use wire::muster_api::issuer::{IssuerProfile, IssuerSettings, IssuerSource};

/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);

async fn open(directory: &Path, keys: &DeviceIssuers, name: &IssuerName) -> Provisioning {
    let init = Init {
        rehearse: false,
        hub_name: "hub".parse().unwrap(),
        hub_host: "hub.example".parse().unwrap(),
        entropy: Arc::new(SystemEntropy),
    };
    let opened = Provisioning::open(directory, init, Default::default(), NOW).await;
    let provisioning = opened.unwrap();
    let ca = keys.make("Fleet CA", 3650, 0, NOW).unwrap().remove(0);
    let draft = IssuerDraft {
        name: name.clone(),
        ca_certificate: ca.sha256(),
        chain: ca.to_pem(),
        profile: IssuerProfile::default(),
        settings: IssuerSettings::default(),
    };
    provisioning.create_issuer(draft, NOW).await.unwrap();
    provisioning
}

#[test]
fn the_ca_of_a_roll_is_made_apart_from_the_threads_that_answer_requests() {
    let directory = tempfile::tempdir().unwrap();
    let keys = Arc::new(DeviceIssuers::at(directory.path()));
    let files = || std::fs::read_dir(directory.path().join("ca/issuers")).map(Iterator::count);
    let name: IssuerName = "fleet".parse().unwrap();
    let source = IssuerSource::Made {
        common_name: None,
        days: 100,
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let provisioning = open(directory.path(), &keys, &name).await;
        let (release, released) = channel::<()>();
        let busy = tokio::task::spawn_blocking(move || released.recv());
        let mut start = pin!(roll::start(&provisioning, &keys, &name, &source, NOW));
        let waits = tokio::time::timeout(Duration::from_millis(100), &mut start);
        waits.await.unwrap_err();
        assert_eq!(files().unwrap(), 1);

        release.send(()).unwrap();
        busy.await.unwrap().unwrap();
        start.await.unwrap();
        assert_eq!(files().unwrap(), 2);
    });
}
