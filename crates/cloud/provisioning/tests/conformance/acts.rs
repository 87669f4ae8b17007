//! A3: every act of an operator has its record in the audit.

use std::collections::BTreeSet;
use std::path::Path;

use ids::{ServiceName, Thumbprint, TrustBundleId};
use provisioning::{
    Act, AttestationKind, EnrollmentDraft, EnrollmentKey, IssuerUserReset, KeyChoice, PolicyDraft,
    PossessionProof, Provisioning, TrustBundleDraft,
};
use registry::{Actor, AuditQuery, AuditRecord, IfMatch, OperatorAct, Registry};
use serde_json::json;
use wire::muster_api::issuer::{IssuerUpdate, PinnedCertificates};
use wire::service_api::enrollment::AllocationPolicy;

use crate::Bench;
use crate::ca_certificates::{self, draft as ca_certificate};
use crate::hubs::{link, name};
use crate::registrations::assign;
use crate::{issued, issuer_users};

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

    /// Does each of the acts, in the order in which they are listed: what is deleted has been made
    /// by then. The provisioning without an operator prepares what has to be there.
    async fn perform(&self, by: &Provisioning, act: Act) {
        let done = self.perform_enrollment(by, act).await
            || self.perform_certificate(by, act).await
            || self.perform_issuer(by, act).await
            || self.perform_revocation(by, act).await
            || self.perform_service(by, act).await
            || self.perform_reading(by, act).await;
        assert!(done, "{act:?} is in no table");
    }

    /// Acts on enrollments, registrations and blocks; whether it is one of them.
    async fn perform_enrollment(&self, by: &Provisioning, act: Act) -> bool {
        let plain = &self.provisioning;
        let any = IfMatch::Any;
        let own = EnrollmentKey::Individual("d1".parse().unwrap());
        let id = "d2".parse().unwrap();
        match act {
            Act::PutEnrollment => {
                let draft = EnrollmentDraft {
                    key: own,
                    enabled: true,
                    attestation: AttestationKind::X509,
                    document: json!({}),
                    certificates: Vec::new(),
                    ca_certificates: Vec::new(),
                    issuance: Default::default(),
                };
                let put = by.put_enrollment(draft, &IfMatch::Absent, self.now());
                put.await.unwrap();
            }
            Act::DeleteEnrollment => {
                let deleted = by.delete_enrollment(&own, &any, self.now());
                deleted.await.unwrap();
            }
            Act::DeleteRegistration => {
                let registered = assign(plain, "d2").await;
                plain.assign(registered, self.now()).await.unwrap();
                let deleted = by.delete_registration(&id, &any, self.now());
                deleted.await.unwrap();
            }
            Act::BlockDevice => drop(by.block(&id, None, self.now()).await.unwrap()),
            Act::UnblockDevice => by.unblock(&id, self.now()).await.unwrap(),
            _ => return false,
        }
        true
    }

    /// Acts on CA certificates; whether it is one of them.
    async fn perform_certificate(&self, by: &Provisioning, act: Act) -> bool {
        let plain = &self.provisioning;
        let any = IfMatch::Any;
        let ca = ca_certificates::name("root");
        match act {
            Act::PutCaCertificate => {
                let put = by.put_ca_certificate(ca_certificate("root", 1, None), &any, self.now());
                put.await.unwrap_err();
                let absent = IfMatch::Absent;
                let put =
                    by.put_ca_certificate(ca_certificate("root", 1, None), &absent, self.now());
                put.await.unwrap();
            }
            Act::DeleteCaCertificate => {
                let put = plain.put_ca_certificate(
                    ca_certificate("other", 2, None),
                    &IfMatch::Absent,
                    self.now(),
                );
                put.await.unwrap();
                let other = ca_certificates::name("other");
                let deleted = by.delete_ca_certificate(&other, &any, self.now());
                deleted.await.unwrap();
            }
            Act::NewVerificationCode => {
                let code = by.new_verification_code(&ca, &any, self.now());
                code.await.unwrap();
            }
            Act::VerifyCaCertificate => {
                let code = plain.ca_certificate(&ca).unwrap().unwrap().code.unwrap();
                let proof = PossessionProof {
                    ca_certificate: Thumbprint::from_bytes([1; 32]),
                    code: code.text,
                };
                let verified = by.verify_ca_certificate(&ca, &any, proof, self.now());
                verified.await.unwrap();
            }
            _ => return false,
        }
        true
    }

    /// Acts on issuers and trust bundles; whether it is one of them.
    async fn perform_issuer(&self, by: &Provisioning, act: Act) -> bool {
        let any = IfMatch::Any;
        match act {
            Act::CreateIssuer => {
                let draft = issued::draft("issuer", 3);
                by.create_issuer(draft, self.now()).await.unwrap();
            }
            Act::UpdateIssuer => {
                let follow = IssuerUpdate {
                    pinned_certificates: PinnedCertificates::Follow,
                };
                let issuer = issued::issuer("issuer");
                let updated = by.update_issuer(&issuer, follow, self.now());
                updated.await.unwrap();
            }
            Act::DeleteIssuer => {
                by.delete_issuer(&issued::issuer("issuer"), &any)
                    .await
                    .unwrap();
            }
            Act::CreateIssuerUser | Act::ResetIssuerUser | Act::DeleteIssuerUser => {
                self.perform_on_user(by, act).await;
            }
            Act::StartRoll | Act::FinishRoll | Act::AbandonRoll => self.perform_roll(by, act).await,
            Act::SetIssuerTrusts => {
                let (plain, issuer) = (&self.provisioning, issued::issuer("trusting"));
                let put = ca_certificate("trusted", 8, Some(true));
                let put = plain.put_ca_certificate(put, &IfMatch::Absent, self.now());
                put.await.unwrap();
                let draft = issued::draft("trusting", 9);
                plain.create_issuer(draft, self.now()).await.unwrap();
                let trusted = ca_certificates::name("trusted");
                let add = by.add_issuer_trust(&issuer, &trusted, self.now());
                add.await.unwrap();
            }
            Act::PutTrustBundle => {
                let draft = TrustBundleDraft {
                    id: TrustBundleId::parse("bundle").unwrap(),
                    certificates: String::new(),
                };
                let put = by.put_trust_bundle(draft, &IfMatch::Absent, self.now());
                put.await.unwrap();
            }
            Act::DeleteTrustBundle => {
                let bundle = TrustBundleId::parse("bundle").unwrap();
                by.delete_trust_bundle(&bundle, &any).await.unwrap();
            }
            _ => return false,
        }
        true
    }

    /// The steps of a roll.
    async fn perform_roll(&self, by: &Provisioning, act: Act) {
        let (plain, issuer) = (&self.provisioning, issued::issuer("rolling"));
        let next = issued::next_authority(11);
        // Acts come in the order of the table: the one that is finished starts again.
        if act == Act::StartRoll {
            let draft = issued::draft("rolling", 10);
            plain.create_issuer(draft, self.now()).await.unwrap();
            by.start_roll(&issuer, next, self.now()).await.unwrap();
        } else if act == Act::FinishRoll {
            by.finish_roll(&issuer, next, self.now()).await.unwrap();
        } else {
            let next = issued::next_authority(12);
            let started = plain.start_roll(&issuer, next.clone(), self.now());
            started.await.unwrap();
            by.abandon_roll(&issuer, next, self.now()).await.unwrap();
        }
    }

    /// Acts on users of an issuer, which goes with the last of them.
    async fn perform_on_user(&self, by: &Provisioning, act: Act) {
        let (plain, issuer) = (&self.provisioning, issued::issuer("of-users"));
        let user = issuer_users::user("line-1", None);
        match act {
            Act::CreateIssuerUser => {
                let draft = issued::draft("of-users", 4);
                plain.create_issuer(draft, self.now()).await.unwrap();
                let made = by.create_issuer_user(&issuer, user, self.now());
                made.await.unwrap();
            }
            Act::ResetIssuerUser => {
                let reset = IssuerUserReset {
                    name: user.name,
                    password: user.password,
                    uses: Some(1),
                    expires: None,
                };
                let reset = by.reset_issuer_user(&issuer, reset, self.now());
                reset.await.unwrap();
            }
            _ => {
                let deleted = by.delete_issuer_user(&issuer, &user.name);
                deleted.await.unwrap();
            }
        }
    }

    /// Acts on services, policies and links; whether it is one of them.
    async fn perform_service(&self, by: &Provisioning, act: Act) -> bool {
        match act {
            Act::CreateService => {
                let named = ServiceName::parse("second").unwrap();
                let at = "second-dps.example".parse().unwrap();
                by.create_service(named, at, self.now()).await.unwrap();
            }
            Act::SetAllocationPolicy => {
                let set = by.set_allocation_policy(AllocationPolicy::GeoLatency);
                set.await.unwrap();
            }
            Act::CreatePolicy => {
                let rights = ["EnrollmentRead".to_owned()];
                let draft = PolicyDraft::new("reader", &rights, [None, None]).unwrap();
                by.create_policy(draft).await.unwrap();
            }
            Act::RegeneratePolicyKey => {
                let rolled = by.regenerate_key("reader", KeyChoice::Primary);
                rolled.await.unwrap();
            }
            Act::DeletePolicy => by.delete_policy("reader").await.unwrap(),
            Act::LinkHub => {
                self.create_hub("third", "third.example").await;
                by.link_hub(link("third"), self.now()).await.unwrap();
            }
            Act::UnlinkHub => by.unlink_hub(&name("third")).await.unwrap(),
            _ => return false,
        }
        true
    }

    /// Reading what is secret; whether it is one of these.
    async fn perform_reading(&self, by: &Provisioning, act: Act) -> bool {
        match act {
            Act::ReadEnrollmentKeys
            | Act::ReadServiceKeys
            | Act::ReadPolicyKeys
            | Act::ReadWebhookKey
            | Act::ReplayAllocation => by.disclose(act, "something").await.unwrap(),
            _ => return false,
        }
        true
    }
}

pub(crate) async fn every_act_leaves_one_record(bench: Bench) {
    for act in Act::ALL {
        let by = bench.provisioning.by(bench.actor());
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

pub(crate) async fn an_exchanged_trust_anchor_is_reported(bench: Bench) {
    let by = bench.provisioning.by(bench.actor());
    let put = by.put_ca_certificate(
        ca_certificate("root", 1, Some(true)),
        &IfMatch::Absent,
        bench.now(),
    );
    put.await.unwrap();
    let put = by.put_ca_certificate(
        ca_certificate("root", 2, Some(true)),
        &IfMatch::Any,
        bench.now(),
    );
    put.await.unwrap();
    let print = |number: u8| Thumbprint::from_bytes([number; 32]).to_string();
    let heard: Vec<_> = bench
        .acts(Act::PutCaCertificate)
        .into_iter()
        .map(|record| {
            let text = |name: &str| record.body[name].as_str().map(str::to_owned);
            (
                text("sha256Thumbprint"),
                text("replacedThumbprint"),
                text("standing"),
            )
        })
        .collect();
    let verified = || Some("verified".to_owned());
    assert_eq!(
        heard,
        [
            (Some(print(2)), Some(print(1)), verified()),
            (Some(print(1)), None, verified()),
        ]
    );
}

/// The functions that write without an operator. Each is here with its reason: a device asks for
/// it, or the server does it by itself.
const WITHOUT_AN_OPERATOR: &[&str] = &[
    // Devices.
    "assign",
    "begin_pending",
    "enter_issued",
    "fail_registration",
    "renew",
    "note_refusal",
    // The server, as it opens a directory of an earlier version.
    "take_over_certificates",
    // Loops that bring about what has been decided.
    "keep_fetched_list",
    "note_list_fetch",
    "end_remote_task",
    "give_up_pending",
    "keep_plan",
    "lose_pending",
    "postpone_remote_task",
    "postpone_pending",
    "finish_placement",
    "finish_pending",
    // Upkeep.
    "expire_refusals",
    "prune_issuer",
    "drop_unreadable_pending",
];

/// The functions in the sources that hand a write to the store otherwise than as an act.
fn scan(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            scan(&path, found);
        } else if !["tests.rs"].contains(&file) {
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
