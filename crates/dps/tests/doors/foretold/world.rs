//! Worlds to register in: enrollments, what operators change, what devices show.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::Method;
use ids::{DeviceId, HubName, Timestamp};
use pki::Certificate;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use registry::IfMatch;
use serde_json::{Value, json};
use wire::sas::SharedAccessKey;

use crate::harness::{Service, group, individual};
use crate::hierarchy::{Ca, EXPIRED, chain, self_signed};
use crate::reasons::Attempt;
use crate::symmetric_key::symmetric;

const IDS: [&str; 3] = ["dev-1", "dev-2", "dev-3"];

/// A world and what happens in it.
#[derive(Debug, Clone)]
pub struct World {
    /// Whether another service has a device `dev-3` at the first hub.
    foreign: bool,
    /// Whether a hub elsewhere is linked, which answers nobody.
    far: bool,
    pub steps: Vec<Step>,
}

/// What is done. An operator's step may be refused: then the world stays as it was.
#[derive(Debug, Clone)]
pub enum Step {
    Attempt(usize, Shown),
    /// The group of this certificate.
    Group(Signer, Terms),
    /// A group with keys.
    Keys(usize, Terms),
    /// The individual enrollment of this registration id.
    Own(usize, Proof, Terms),
    NoOwn(usize),
    /// Which part a hub has in allocation; `None`: it is not linked.
    Hub(&'static str, Option<bool>),
    /// Whether the uploaded root is verified.
    Root(bool),
    DeleteDevice(&'static str, &'static str),
}

/// What an entry says beside its attestation.
#[derive(Debug, Clone)]
pub struct Terms {
    enabled: bool,
    reprovision: (bool, bool),
    hubs: &'static [&'static str],
    allocation: Option<&'static str>,
}

/// The attestation of an individual enrollment.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    Leaf(Signer),
    /// By reference to the uploaded root; the device is called `shared`, whoever has it.
    Authority,
    Keys,
}

/// What the certificate of a device comes from, or the certificate of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signer {
    Root,
    Middle,
    Late,
    Stranger,
    /// Another root of the root's name.
    Impostor,
    /// The device itself.
    Own,
}

/// What a device shows.
#[derive(Debug, Clone)]
pub struct Shown {
    upper: bool,
    leaf: Option<(Signer, Flaw, usize)>,
    token: Option<(Key, usize, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    None,
    Expired,
    OtherName,
    ForServers,
}

#[derive(Debug, Clone, Copy)]
pub enum Key {
    Own,
    /// Derived from that of a group for this name.
    Group(usize, bool),
    Wrong,
}

/// The certificates of all worlds.
struct Pool {
    signers: HashMap<Signer, Ca>,
    leaves: HashMap<(usize, Signer, Flaw), Certificate>,
}

static POOL: LazyLock<Pool> = LazyLock::new(Pool::new);

impl Pool {
    fn new() -> Self {
        use Flaw::{Expired, ForServers, OtherName};
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
            }
            for flaw in [Flaw::None, Expired, OtherName, ForServers] {
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

fn terms() -> impl Strategy<Value = Terms> {
    let hubs: [&'static [&'static str]; 3] = [&[], &["hub.test"], &["second.test"]];
    let allocation = select(vec![None, None, None, Some("static"), Some("custom")]);
    (
        prop::bool::weighted(0.85),
        select(vec![(true, true), (true, false), (false, false)]),
        select(hubs.to_vec()),
        allocation,
    )
        .prop_map(|(enabled, reprovision, hubs, allocation)| Terms {
            enabled,
            reprovision,
            hubs,
            // One that is not acceptable would only be refused.
            allocation: allocation.filter(|kind| *kind != "static" || hubs.len() == 1),
        })
}

fn signer() -> impl Strategy<Value = Signer> + Clone {
    use Signer::{Impostor, Late, Middle, Own, Root, Stranger};
    select(vec![
        Root, Root, Middle, Middle, Late, Stranger, Impostor, Own, Own,
    ])
}

fn shown() -> impl Strategy<Value = Shown> {
    use Flaw::{Expired, ForServers, OtherName};
    let flaw = select(vec![
        Flaw::None,
        Flaw::None,
        Flaw::None,
        Flaw::None,
        Expired,
        OtherName,
        ForServers,
    ]);
    let leaf = (signer(), flaw, 1..4_usize);
    let key = prop_oneof![
        2 => Just(Key::Own),
        3 => (0..2_usize, any::<bool>()).prop_map(|(group, typed)| Key::Group(group, typed)),
        1 => Just(Key::Wrong),
    ];
    // The name in a token is mostly its sender's; one in seven is late.
    let token = (key, 0..7_usize, prop::bool::weighted(0.15));
    let credential = prop_oneof![
        6 => leaf.clone().prop_map(|leaf| (Some(leaf), None)),
        4 => token.clone().prop_map(|token| (None, Some(token))),
        1 => (leaf, token).prop_map(|(leaf, token)| (Some(leaf), Some(token))),
    ];
    (prop::bool::weighted(0.2), credential).prop_map(|(upper, (leaf, token))| Shown {
        upper,
        leaf,
        token,
    })
}

fn proof() -> impl Strategy<Value = Proof> {
    prop_oneof![
        2 => signer().prop_map(Proof::Leaf),
        2 => Just(Proof::Authority),
        2 => Just(Proof::Keys),
    ]
}

fn operator() -> impl Strategy<Value = Step> {
    let hub = select(vec!["hub", "second"]);
    let part = select(vec![Some(true), Some(true), Some(false), None]);
    let device = select(vec!["dev-1", "dev-2", "shared"]);
    prop_oneof![
        5 => (signer(), terms()).prop_map(|(signer, terms)| Step::Group(signer, terms)),
        2 => (0..2_usize, terms()).prop_map(|(group, terms)| Step::Keys(group, terms)),
        3 => (0..3_usize, proof(), terms()).prop_map(|(id, proof, terms)| Step::Own(id, proof, terms)),
        2 => (0..3_usize).prop_map(Step::NoOwn),
        3 => (hub.clone(), part).prop_map(|(hub, part)| Step::Hub(hub, part)),
        1 => any::<bool>().prop_map(Step::Root),
        1 => (hub, device).prop_map(|(hub, device)| Step::DeleteDevice(hub, device)),
    ]
}

/// What a device shows that its world lets in, mostly, and by what individual enrollment if not by a group.
fn usual() -> impl Strategy<Value = (Shown, Option<Proof>)> {
    let leaf = |signer| (Some((signer, Flaw::None, 3)), None);
    let token = |key| (None, Some((key, IDS.len(), false)));
    select(vec![
        (leaf(Signer::Root), None),
        (leaf(Signer::Root), Some(Proof::Authority)),
        (leaf(Signer::Middle), Some(Proof::Authority)),
        (leaf(Signer::Middle), None),
        (leaf(Signer::Own), Some(Proof::Leaf(Signer::Own))),
        (token(Key::Group(0, true)), None),
        (token(Key::Own), Some(Proof::Keys)),
    ])
    .prop_map(|((leaf, token), proof)| {
        let upper = false;
        (Shown { upper, leaf, token }, proof)
    })
}

/// What is there in the beginning, and is written anew with other terms.
fn usual_entries(usual: &[(Shown, Option<Proof>)]) -> impl Strategy<Value = Step> + use<> {
    let own = usual.iter().enumerate();
    let own = own.filter_map(|(id, (_, proof))| Some((id, (*proof)?)));
    let mut entries: Vec<_> = own.map(|(id, proof)| (3, Some((id, proof)))).collect();
    entries.extend([(0, None), (1, None), (2, None)]);
    (select(entries), terms()).prop_map(|(entry, terms)| match entry {
        (_, Some((id, proof))) => Step::Own(id, proof, terms),
        (0, None) => Step::Group(Signer::Root, terms),
        (1, None) => Step::Group(Signer::Middle, terms),
        _ => Step::Keys(0, terms),
    })
}

pub fn worlds() -> impl Strategy<Value = World> {
    let world = vec(usual(), IDS.len()).prop_flat_map(|usual| {
        let entries = || usual_entries(&usual);
        let known: Vec<_> = usual.iter().map(|(shown, _)| shown.clone()).collect();
        let again =
            (select(vec![0, 1, 2]), prop::bool::weighted(0.2)).prop_map(move |(id, upper)| {
                let shown = known[id].clone();
                Step::Attempt(id, Shown { upper, ..shown })
            });
        let any = (0..IDS.len(), shown()).prop_map(|(id, shown)| Step::Attempt(id, shown));
        let later = prop_oneof![5 => again, 3 => any, 2 => entries(), 2 => operator()];
        (vec(entries(), 4..9), vec(later, 12..24))
    });
    let seldom = || prop::bool::weighted(0.3);
    (seldom(), seldom(), world).prop_map(|(foreign, far, (mut steps, later))| {
        steps.extend(later);
        World {
            foreign,
            far,
            steps,
        }
    })
}

/// A world that is there.
pub struct Built {
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

impl Built {
    pub async fn of(world: &World) -> Self {
        let service = Service::start().await;
        service.linked_hub("second", 1).await;
        let root = &POOL.signers[&Signer::Root].certificate;
        service.upload("root", root, true).await;
        if world.foreign {
            foreign_device(&service).await;
        }
        if world.far {
            let link = json!({"connectionString": crate::serving::FAR});
            let path = "dps/linkedHubs/far";
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
                    Signer::Own => return self.group_of_authority(terms).await,
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
                    // An entry keeps its kind of proof; another one may come instead.
                    self.without(*id).await;
                    self.put(&own_path(*id), &body).await;
                }
            }
            Step::NoOwn(id) => self.without(*id).await,
            Step::Hub(hub, part) => self.link(hub, *part).await,
            Step::Root(verified) => {
                let root = &POOL.signers[&Signer::Root].certificate;
                let body = crate::authorities::upload(root, Some(*verified));
                self.service
                    .authority(Method::PUT, "root", Some(&body))
                    .await;
            }
            Step::DeleteDevice(hub, device) => {
                let (hub, device) = (HubName::parse(hub), DeviceId::parse(device));
                let registry = &self.service.registry;
                let _ = registry
                    .delete_device(&hub.unwrap(), &device.unwrap(), &IfMatch::Any)
                    .await;
            }
        }
    }

    async fn group_of_authority(&self, terms: &Terms) {
        let references = json!({"type": "x509", "x509": {"caReferences": {"primary": "root"}}});
        let body = json!({"enrollmentGroupId": "refers", "attestation": references});
        self.put("/enrollmentGroups/refers", &terms.of(body)).await;
    }

    /// Creates or replaces an entry; with which status.
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
    pub fn spelled(&self, id: usize, shown: &Shown) -> String {
        match shown.upper {
            true => IDS[id].to_uppercase(),
            false => IDS[id].to_owned(),
        }
    }

    pub fn attempt(&self, id: usize, shown: &Shown) -> Attempt {
        let typed = self.spelled(id, shown);
        let token = shown.token.map(|(key, named, late)| {
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
        let chain = shown.leaf.map(|leaf| chain(&POOL.chain(id, leaf)));
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
        Proof::Authority => json!({
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
async fn foreign_device(service: &Service) {
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
    let shown = Some(chain(&[leaf]));
    let body = axum::body::Body::from("{}");
    let begun = service.device(Method::PUT, &path, shown, body).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
}
