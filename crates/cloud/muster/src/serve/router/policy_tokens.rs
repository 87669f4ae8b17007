//! Tokens of shared access policies count alike in both services.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use ids::Timestamp;
use wire::sas::{CLOCK_SKEW, SharedAccessKey};
use wire::service_api::identity::KeyText;

use super::tests::services;
use crate::clock;

/// One service, as a client with its owner's connection string sees it.
struct Owned {
    policy: &'static str,
    keys: [SharedAccessKey; 2],
    /// Of a record that does not exist: 404 when the token is accepted.
    path: &'static str,
}

/// What a test changes in a token.
struct Spelling {
    policy: fn(&str) -> Option<String>,
    resource: &'static str,
    expiry: Timestamp,
    key: Signer,
}

#[derive(Clone, Copy)]
enum Signer {
    Primary,
    Secondary,
    Stranger,
}

impl Spelling {
    fn token(&self, owned: &Owned) -> String {
        let stranger = SharedAccessKey::from_bytes(vec![7; 32]).unwrap();
        let key = match self.key {
            Signer::Primary => &owned.keys[0],
            Signer::Secondary => &owned.keys[1],
            Signer::Stranger => &stranger,
        };
        let policy = (self.policy)(owned.policy);
        wire::sas::build(self.resource, policy.as_deref(), self.expiry, key)
    }
}

fn parsed([primary, secondary]: [&KeyText; 2]) -> [SharedAccessKey; 2] {
    [primary, secondary].map(|key| SharedAccessKey::try_from(key).unwrap())
}

/// Good tokens, and what is not accepted, each with the status that both services answer.
fn spellings(now: Timestamp) -> Vec<(&'static str, Spelling, u16)> {
    let later = now.plus(Duration::from_secs(600));
    let good = || Spelling {
        policy: |name| Some(name.to_owned()),
        resource: "hub.example",
        expiry: later,
        key: Signer::Primary,
    };
    let with = |change: fn(&mut Spelling)| {
        let mut spelling = good();
        change(&mut spelling);
        spelling
    };
    let until = |expiry| Spelling { expiry, ..good() };
    vec![
        ("as it is", good(), 404),
        ("secondary key", with(|s| s.key = Signer::Secondary), 404),
        (
            "upper case",
            with(|s| s.policy = |name| Some(name.to_ascii_uppercase())),
            404,
        ),
        ("port in sr", with(|s| s.resource = "HUB.example:443"), 404),
        (
            "late, within the skew",
            until(now.minus(CLOCK_SKEW / 2)),
            404,
        ),
        ("too late", until(now.minus(CLOCK_SKEW * 2)), 401),
        ("stranger's key", with(|s| s.key = Signer::Stranger), 401),
        ("other host", with(|s| s.resource = "other.example"), 401),
        (
            "unknown policy",
            with(|s| s.policy = |_| Some("nobody".to_owned())),
            401,
        ),
        ("no policy", with(|s| s.policy = |_| None), 401),
    ]
}

#[tokio::test]
async fn a_policy_token_counts_alike_in_both_services() {
    let directory = tempfile::tempdir().unwrap();
    let (provisioning, dps, hub) = services(directory.path()).await;
    let hubs = provisioning.registry().hubs();
    let mut policies = hubs.hubs[0].policies.iter();
    let hub_owner = policies
        .find(|policy| policy.name == "iothubowner")
        .unwrap();
    let service = provisioning.service();
    let mut policies = service.policies.iter();
    let dps_owner = policies
        .find(|policy| policy.name == "provisioningserviceowner")
        .unwrap();
    let of_hub = Owned {
        policy: "iothubowner",
        keys: parsed([&hub_owner.primary, &hub_owner.secondary]),
        path: "/devices/nobody",
    };
    let of_dps = Owned {
        policy: "provisioningserviceowner",
        keys: parsed([&dps_owner.primary, &dps_owner.secondary]),
        path: "/enrollments/nobody",
    };
    for (what, spelling, expected) in spellings(clock::now()) {
        let request = |owned: &Owned| {
            let uri = format!("https://hub.example{}?api-version=2021-10-01", owned.path);
            let request = Request::builder().uri(uri).header("host", "hub.example");
            let request = request.header("authorization", spelling.token(owned));
            request.body(Body::empty()).unwrap()
        };
        let by_hub = hub.answer(request(&of_hub)).await.status().as_u16();
        let by_dps = dps.answer(request(&of_dps)).await.status().as_u16();
        assert_eq!((by_hub, by_dps), (expected, expected), "{what}");
    }
}
