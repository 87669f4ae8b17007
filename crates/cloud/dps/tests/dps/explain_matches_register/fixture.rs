//! A scenario that runs: a service with its enrollments, and the certificates
//! and keys of its devices.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::Method;
use ids::{DeviceId, HubName, Timestamp};
use pki::Certificate;
use registry::IfMatch;
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use super::scenario::{Flaw, IDS, Key, Presented, Proof, Scenario, Signer, Step, Terms};
use crate::harness::attempt::Attempt;
use crate::harness::hierarchy::{Ca, EXPIRED, chain, self_signed};
use crate::harness::keys::symmetric;
use crate::harness::{Service, group, individual};

/// The certificates of all scenarios.
struct Pool {
    signers: HashMap<Signer, Ca>,
    leaves: HashMap<(usize, Signer, Flaw), Certificate>,
}

static POOL: LazyLock<Pool> = LazyLock::new(Pool::new);

impl Pool {
    fn new() -> Self {
        use Flaw::{Expired, ForServers, Letters, OtherName, Policies, Unknown};
        let dice: &[u64] = &[2, 23, 133, 5, 4, 1];
        // SEQUENCE { SEQUENCE { 1.2.3 } }
        let (policies, content) = ([2, 5, 29, 32], [0x30, 6, 0x30, 4, 6, 2, 0x2a, 3]);
        let root = Ca::root("root");
        let signers = HashMap::from([
            (Signer::Middle, root.intermediate("middle")),
            (Signer::Late, root.intermediate_valid("late", EXPIRED)),
            (Signer::Stranger, Ca::root("stranger")),
            (Signer::Impostor, Ca::root("root")),
            (Signer::Root, root),
        ]);
        let mut leaves = HashMap::new();
        for (index, id) in IDS.iter().enumerate() {
            for (signer, ca) in &signers {
                leaves.insert((index, *signer, Flaw::None), ca.leaf(id));
                leaves.insert((index, *signer, Expired), ca.leaf_valid(id, EXPIRED));
                leaves.insert((index, *signer, OtherName), ca.leaf("dev-0"));
                leaves.insert((index, *signer, ForServers), ca.server_leaf(id));
                leaves.insert(
                    (index, *signer, Unknown),
                    ca.leaf_with(id, dice, &[0x30, 0]),
                );
                let followed = ca.leaf_with(id, &policies, &content);
                leaves.insert((index, *signer, Policies), followed);
                leaves.insert((index, *signer, Letters), ca.leaf_in_other_letters(id));
            }
            for flaw in [
                Flaw::None,
                Expired,
                OtherName,
                ForServers,
                Unknown,
                Policies,
                Letters,
            ] {
                leaves.insert((index, Signer::Own, flaw), self_signed(id));
            }
        }
        Self { signers, leaves }
    }

    /// So many certificates from the leaf to the root.
    fn chain(&self, id: usize, (signer, flaw, length): (Signer, Flaw, usize)) -> Vec<&Certificate> {
        let leaf = &self.leaves[&(id, signer, flaw)];
        let above = match signer {
            Signer::Own => vec![],
            Signer::Middle | Signer::Late => vec![signer, Signer::Root],
            other => vec![other],
        };
        let above = above.into_iter().map(|ca| &self.signers[&ca].certificate);
        std::iter::once(leaf).chain(above).take(length).collect()
    }
}

/// A world that is there.
pub struct Fixture {
    pub service: Service,
}

fn key_of(number: u8) -> SharedAccessKey {
    SharedAccessKey::from_bytes(vec![number; 32]).unwrap()
}

fn keys_of(number: u8) -> Value {
    let text = |number| key_of(number).to_base64().to_string();
    json!({"primaryKey": text(number), "secondaryKey": text(number + 1)})
}

impl Terms {
    fn of(&self, mut body: Value) -> Value {
        let (update, migrate) = self.reprovision;
        body["provisioningStatus"] = json!(if self.enabled { "enabled" } else { "disabled" });
        body["reprovisionPolicy"] =
            json!({"updateHubAssignment": update, "migrateDeviceData": migrate});
        body["iotHubs"] = json!(self.hubs);
        if let Some(allocation) = self.allocation {
            body["allocationPolicy"] = json!(allocation);
        }
        if self.allocation == Some("custom") {
            body["customAllocationDefinition"] =
                json!({"webhookUrl": "https://functions.example/", "apiVersion": "2021-10-01"});
        }
        body
    }
}

impl Fixture {
    pub async fn start(scenario: &Scenario) -> Self {
        let service = Service::start().await;
        service.linked_hub("second", 1).await;
        let root = &POOL.signers[&Signer::Root].certificate;
        service.upload("root", root, true).await;
        if scenario.device_of_other_service {
            device_of_other_service(&service).await;
        }
        if scenario.remote {
            let link = json!({"connectionString": crate::muster_api::REMOTE});
            let path = "dps/linkedHubs/remote";
            service.own(Method::PUT, path, Some(&link)).await;
        }
        Self { service }
    }

    pub async fn change(&self, step: &Step) {
        match step {
            Step::Attempt(..) => {}
            Step::Group(signer, terms) => {
                let name = format!("{signer:?}");
                let certificate = match signer {
                    Signer::Own => return self.group_of_ca_certificate(terms).await,
                    other => &POOL.signers[other].certificate,
                };
                let path = format!("/enrollmentGroups/{name}");
                self.put(&path, &terms.of(group(&name, certificate))).await;
            }
            Step::Keys(number, terms) => {
                let name = format!("keys-{number}");
                let keys = keys_of(master(*number));
                let body = symmetric("enrollmentGroupId", &name, &keys);
                let path = format!("/enrollmentGroups/{name}");
                self.put(&path, &terms.of(body)).await;
            }
            Step::Own(id, proof, terms) => {
                let body = terms.of(own(*id, *proof));
                if self.put(&own_path(*id), &body).await == 400 {
                    // An enrollment keeps its kind of proof; another one may come instead.
                    self.without(*id).await;
                    self.put(&own_path(*id), &body).await;
                }
            }
            Step::NoOwn(id) => self.without(*id).await,
            Step::Hub(hub, part) => self.link(hub, *part).await,
            Step::Root(verified) => {
                let root = &POOL.signers[&Signer::Root].certificate;
                let body = crate::harness::ca_certificates::upload(root, Some(*verified));
                self.service
                    .ca_certificate(Method::PUT, "root", Some(&body))
                    .await;
            }
            Step::DeleteDevice(hub, device) => {
                let (hub, device) = (HubName::parse(hub), DeviceId::parse(device));
                let provisioning = &self.service.provisioning;
                let _ = provisioning
                    .registry()
                    .delete_device(&hub.unwrap(), &device.unwrap(), &IfMatch::Any)
                    .await;
            }
        }
    }

    async fn group_of_ca_certificate(&self, terms: &Terms) {
        let references = json!({"type": "x509", "x509": {"caReferences": {"primary": "root"}}});
        let body = json!({"enrollmentGroupId": "refers", "attestation": references});
        self.put("/enrollmentGroups/refers", &terms.of(body)).await;
    }

    /// Creates or replaces an enrollment; with which status.
    async fn put(&self, path: &str, body: &Value) -> u16 {
        let put = async |headers: &[(&str, &str)]| {
            let body = Some(body);
            let answer = self.service.operate(Method::PUT, path, headers, body);
            answer.await.status.as_u16()
        };
        match put(&[]).await {
            409 => put(&[("if-match", "*")]).await,
            status => status,
        }
    }

    async fn without(&self, id: usize) {
        let any = [("if-match", "*")];
        let path = own_path(id);
        self.service
            .operate(Method::DELETE, &path, &any, None)
            .await;
    }

    async fn link(&self, hub: &str, part: Option<bool>) {
        let path = format!("/muster/v1/dps/linkedHubs/{hub}");
        let (method, body) = match part {
            Some(part) => (Method::PUT, Some(json!({"applyAllocationPolicy": part}))),
            None => (Method::DELETE, None),
        };
        let any: &[_] = if part.is_none() {
            &[("if-match", "*")]
        } else {
            &[]
        };
        self.service
            .operate(method, &path, any, body.as_ref())
            .await;
    }

    /// The registration id as the device spells it.
    pub fn spelled(&self, id: usize, presented: &Presented) -> String {
        match presented.upper {
            true => IDS[id].to_uppercase(),
            false => IDS[id].to_owned(),
        }
    }

    pub fn attempt(&self, id: usize, presented: &Presented) -> Attempt {
        let typed = self.spelled(id, presented);
        let token = presented.token.map(|(key, named, late)| {
            let key = match key {
                Key::Own => key_of(own_key(id)),
                Key::Wrong => key_of(99),
                Key::Group(group, as_typed) => {
                    let name = if as_typed { &typed } else { IDS[id] };
                    let derived = key_of(master(group)).sign(name.as_bytes());
                    SharedAccessKey::from_bytes(derived.to_vec()).unwrap()
                }
            };
            let expiry = match late {
                true => Timestamp::from_unix_seconds(1_700_000_000),
                false => self
                    .service
                    .now()
                    .plus(std::time::Duration::from_secs(3600)),
            };
            let name = IDS.get(named).copied().unwrap_or(&typed);
            self.service.token(name, &key, expiry)
        });
        let chain = presented.leaf.map(|leaf| chain(&POOL.chain(id, leaf)));
        Attempt {
            chain,
            token,
            ..Attempt::default()
        }
    }
}

fn own(id: usize, proof: Proof) -> Value {
    let name = IDS[id];
    match proof {
        Proof::Leaf(signer) => individual(name, &POOL.leaves[&(id, signer, Flaw::None)]),
        Proof::CaCertificate => json!({
            "registrationId": name, "deviceId": "shared",
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root"}}},
        }),
        Proof::Keys => symmetric("registrationId", name, &keys_of(own_key(id))),
    }
}

fn own_path(id: usize) -> String {
    format!("/enrollments/{}", IDS[id])
}

fn own_key(id: usize) -> u8 {
    10 + 2 * u8::try_from(id).unwrap()
}

fn master(group: usize) -> u8 {
    30 + 2 * u8::try_from(group).unwrap()
}

/// Another service links the first hub and registers `dev-3` there.
async fn device_of_other_service(service: &Service) {
    let host = json!({"hostName": "other.test"});
    let made = service
        .own(Method::PUT, "services/other", Some(&host))
        .await;
    let owner = &made["connectionString"];
    let hub = service.own(Method::GET, "hubs/hub", None).await;
    let link = json!({"connectionString": hub["connectionString"]});
    let leaf = &POOL.leaves[&(2, Signer::Own, Flaw::None)];
    let enrolled = individual(IDS[2], leaf);
    let puts = [
        ("/muster/v1/dps/linkedHubs/hub", &link),
        ("/enrollments/dev-3", &enrolled),
    ];
    for (path, body) in puts {
        let put = service.by(owner, Method::PUT, path, Some(body)).await;
        assert_eq!(put.status, 200, "{}", put.body);
    }
    let scope = made["idScope"].as_str().unwrap();
    let path = format!("/{scope}/registrations/dev-3/register");
    let presented = Some(chain(&[leaf]));
    let body = axum::body::Body::from("{}");
    let begun = service.device(Method::PUT, &path, presented, body).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
}
