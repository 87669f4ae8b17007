//! A3: every act of an operator has its record in the audit.

use std::collections::BTreeSet;
use std::path::Path;

use ids::{Ack, ConsumerGroup, Identity, JobId, ModuleId};
use registry::{
    Act, Actor, AuditQuery, AuditRecord, IfMatch, OperatorAct, Registry, RolloutCommand, TwinPatch,
};
use serde_json::json;
use wire::muster_api::routing::Routing;
use wire::service_api::identity::{DeviceRequest, ModuleRequest};
use wire::service_api::key_rotation::RotatedKey;

use crate::cloud_messages::message;
use crate::deployments::{self, draft as configuration};
use crate::identities::edge;
use crate::{Bench, device, hub, jobs, map};

fn readers() -> ConsumerGroup {
    "readers".parse().unwrap()
}

impl Bench {
    fn actor(&self) -> Actor {
        Actor {
            policy: "auditor's prey".to_owned(),
            request_id: "request-1".to_owned(),
            address: Some([192, 0, 2, 7].into()),
            at: self.now(),
        }
    }

    /// The records of one kind of act.
    fn acts(&self, act: Act) -> Vec<AuditRecord> {
        let query = AuditQuery {
            kind: Some(act.kind().to_owned()),
            limit: 100,
            ..AuditQuery::default()
        };
        let found = Registry::audit(self.directory.path(), &query).unwrap();
        found
            .into_iter()
            .filter(|record| record.stream == "acts")
            .collect()
    }

    /// Acts on rollouts; whether it is one of them.
    async fn perform_rollout(&self, by: &Registry, act: Act) -> bool {
        match act {
            Act::StartRollout => self.start_rollout(by).await,
            Act::PauseRollout => self.command(by, RolloutCommand::Pause).await,
            Act::ResumeRollout => self.command(by, RolloutCommand::Resume).await,
            Act::AbortRollout => self.command(by, RolloutCommand::Abort).await,
            _ => return false,
        }
        true
    }

    async fn start_rollout(&self, by: &Registry) {
        for (name, priority) in [("below", 1), ("above", 2)] {
            let draft = configuration(name, priority, "", json!({}));
            deployments::deploy(self, draft).await;
        }
        let request = json!({"configurationId": "above", "rings": [{"percent": 100}]});
        let request = serde_json::from_value(request).unwrap();
        by.start_rollout(&hub(), request, self.now()).await.unwrap();
    }

    async fn command(&self, by: &Registry, command: RolloutCommand) {
        let above = deployments::id("above");
        by.command_rollout(&hub(), &above, command, self.now())
            .await
            .unwrap();
    }

    /// Does each of the acts, in the order in which they are listed: what is deleted has
    /// been made by then.
    async fn perform(&self, by: &Registry, act: Act) {
        let done = self.perform_hub(by, act).await
            || self.perform_routing(by, act).await
            || self.perform_job(by, act).await
            || self.perform_hub_device(by, act).await
            || self.perform_message(by, act).await
            || self.perform_rollout(by, act).await;
        assert!(done, "{act:?} is in no table");
    }

    /// Acts on hubs; whether it is one of them.
    async fn perform_hub(&self, by: &Registry, act: Act) -> bool {
        let second = || "second".parse().unwrap();
        match act {
            Act::CreateHub => {
                let host = "second.example".parse().unwrap();
                by.create_hub(second(), host, self.now()).await.unwrap();
            }
            Act::DeleteHub => by.delete_hub(&second(), self.now()).await.unwrap(),
            _ => return false,
        }
        true
    }

    /// Acts on routes and readers of a hub; whether it is one of them.
    async fn perform_routing(&self, by: &Registry, act: Act) -> bool {
        let hub = &hub();
        match act {
            Act::PutRouting => {
                let put = by.put_routing(hub, Routing::default(), &IfMatch::Any, self.now());
                put.await.unwrap();
            }
            Act::PutConsumerGroup => {
                let (group, now) = (readers(), self.now());
                by.put_consumer_group(hub, &group, now).await.unwrap();
            }
            Act::DeleteConsumerGroup => {
                by.delete_consumer_group(hub, &readers()).await.unwrap();
            }
            _ => return false,
        }
        true
    }

    /// Acts on jobs; whether it is one of them.
    async fn perform_job(&self, by: &Registry, act: Act) -> bool {
        let id = JobId::parse("j1").unwrap();
        match act {
            Act::CreateJob => {
                let draft = jobs::draft("j1");
                by.create_job(&hub(), draft, self.now()).await.unwrap();
            }
            Act::CancelJob => {
                by.cancel_job(&hub(), &id, self.now()).await.unwrap();
            }
            _ => return false,
        }
        true
    }

    /// Acts on the queue of a device; whether it is one of them.
    async fn perform_message(&self, by: &Registry, act: Act) -> bool {
        let of = Identity::device(hub(), device("e1"));
        match act {
            Act::SendMessage => {
                let sent = by.send_message(&of, message(Ack::None), self.now());
                sent.await.unwrap();
            }
            Act::PurgeMessages => {
                by.purge_messages(&of, self.now()).await.unwrap();
            }
            _ => return false,
        }
        true
    }

    /// Acts on what lives in a hub, and of what is read; whether it is one of them.
    async fn perform_hub_device(&self, by: &Registry, act: Act) -> bool {
        let plain = &self.registry;
        let any = IfMatch::Any;
        let (hub, e1, e2) = (&hub(), &device("e1"), &device("e2"));
        let c1 = deployments::id("c1");
        match act {
            Act::PutDevice => {
                let put = by.put_device(hub, e1, edge(), &IfMatch::Absent, self.now());
                put.await.unwrap();
            }
            Act::RotateKeys => {
                let e1 = Identity::device(hub.clone(), e1.clone());
                by.rotate_keys(&e1, RotatedKey::Both).await.unwrap();
            }
            Act::DeleteDevice => {
                let request = DeviceRequest::default();
                let put = plain.put_device(hub, e2, request, &IfMatch::Absent, self.now());
                put.await.unwrap();
                by.delete_device(hub, e2, &any).await.unwrap();
            }
            Act::PutModule => {
                let request = ModuleRequest::default();
                let module = ModuleId::parse("m1").unwrap();
                let absent = IfMatch::Absent;
                let put = by.put_module(hub, e1, &module, request, &absent, self.now());
                put.await.unwrap();
            }
            Act::DeleteModule => {
                let module = ModuleId::parse("m1").unwrap();
                let deleted = by.delete_module(hub, e1, &module, &any);
                deleted.await.unwrap();
            }
            Act::ChangeTwin => {
                let patch = TwinPatch {
                    tags: Some(map(json!({"site": "Busan"}))),
                    desired: None,
                };
                let e1 = Identity::device(hub.clone(), e1.clone());
                let patched = by.patch_twin(&e1, patch, &any, self.now());
                patched.await.unwrap();
            }
            Act::PutConfiguration => {
                let draft = configuration("c1", 1, "*", json!({}));
                let put = by.put_configuration(hub, draft, &IfMatch::Absent, self.now());
                put.await.unwrap();
            }
            Act::DeleteConfiguration => {
                by.delete_configuration(hub, &c1, &any).await.unwrap();
            }
            Act::ApplyConfiguration => {
                let content = configuration("c1", 1, "*", json!({})).content.unwrap();
                let applied = by.apply_content(hub, e1, &content, self.now());
                applied.await.unwrap();
            }
            Act::ReadHubKeys => by.disclose(act, "something").await.unwrap(),
            _ => return false,
        }
        true
    }
}

pub(crate) async fn every_act_leaves_one_record(bench: Bench) {
    for act in Act::ALL {
        let by = bench.registry.by(bench.actor());
        bench.perform(&by, *act).await;
        let records = bench.acts(*act);
        let [record] = records.as_slice() else {
            panic!("{act:?}: {records:?}");
        };
        assert_eq!(record.body["policy"], "auditor's prey", "{act:?}");
        assert_eq!(record.body["requestId"], "request-1", "{act:?}");
        assert_eq!(record.body["address"], "192.0.2.7", "{act:?}");
        let target = record.body["target"].as_str().unwrap();
        assert!(!target.is_empty(), "{act:?}");
    }
}

/// The functions that write without an operator. Each is here with its reason: a device asks for
/// it, or the server does it by itself.
const WITHOUT_AN_OPERATOR: &[&str] = &[
    // Devices.
    "patch_reported",
    "receive",
    "settle_message",
    "complete_message",
    "put_kept_subscriptions",
    "begin_upload",
    "end_upload",
    "enter_written_file",
    // Back ends that read what the server has for them.
    "receive_notifications",
    "settle_notifications",
    // Loops that bring about what has been decided.
    "apply_all",
    "advance",
    "delete_hub_events",
    "apply_one",
    "full_pass_step",
    "write_step",
    "evaluate_metrics",
    "forget_ended_rollouts",
    // Jobs, which have been asked for.
    "add_job_devices",
    "change_job",
    "claim_job_devices",
    "close_job_devices",
    "end_job_device",
    "update_job_twin",
    // Readers of events.
    "checkpoint",
    // Upkeep.
    "forget_jobs",
    "expire_messages",
    "expire_notifications",
    "expire_upload",
    "note_seen",
    "note_unsettled",
    "open_with",
    "require_writable",
    "rewind",
];

/// The functions in the sources that hand a write to the store otherwise than as an act.
fn scan(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            scan(&path, found);
        } else if !["audited.rs", "tests.rs"].contains(&file) {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut function = String::new();
            for line in text.lines() {
                if let Some((_, rest)) = line.split_once("fn ") {
                    function = rest.split(['(', '<']).next().unwrap().to_owned();
                }
                if [".write_without_act(", ".write_in_background("]
                    .iter()
                    .any(|write| line.contains(write))
                {
                    found.insert(function.clone());
                }
            }
        }
    }
}

pub(crate) async fn nothing_else_writes_without_an_operator(_bench: Bench) {
    let mut found = BTreeSet::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    scan(&sources, &mut found);
    let expected: BTreeSet<String> = WITHOUT_AN_OPERATOR
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!(found, expected);
}
