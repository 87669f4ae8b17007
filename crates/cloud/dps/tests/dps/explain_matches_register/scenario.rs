//! Scenarios to register in, as they are generated: enrollments, changes of
//! operators, and what devices present.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub const IDS: [&str; 3] = ["dev-1", "dev-2", "dev-3"];

/// What there is, and what happens.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Whether another service has a device `dev-3` at the first hub.
    pub device_of_other_service: bool,
    /// Whether a remote hub is linked, which answers nobody.
    pub remote: bool,
    pub steps: Vec<Step>,
}

/// What is done. A step of an operator may be refused: then nothing changes.
#[derive(Debug, Clone)]
pub enum Step {
    Attempt(usize, Presented),
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

/// What an enrollment says beside its attestation.
#[derive(Debug, Clone)]
pub struct Terms {
    pub enabled: bool,
    pub reprovision: (bool, bool),
    pub hubs: &'static [&'static str],
    pub allocation: Option<&'static str>,
}

/// The attestation of an individual enrollment.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    Leaf(Signer),
    /// By reference to the uploaded root; the device is called `shared`, in any case.
    CaCertificate,
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
    Own,
}

/// What a device presents.
#[derive(Debug, Clone)]
pub struct Presented {
    pub upper: bool,
    pub leaf: Option<(Signer, Flaw, usize)>,
    pub token: Option<(Key, usize, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    None,
    Expired,
    OtherName,
    ForServers,
    /// A critical extension that nobody knows.
    Unknown,
    /// A critical extension that TLS libraries do not know, and that is followed.
    Policies,
    /// Names in unusual string types.
    Letters,
}

#[derive(Debug, Clone, Copy)]
pub enum Key {
    Own,
    /// Derived from that of a group for this name.
    Group(usize, bool),
    Wrong,
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

fn presented() -> impl Strategy<Value = Presented> {
    use Flaw::{Expired, ForServers, Letters, OtherName, Policies, Unknown};
    let flaw = select(vec![
        Flaw::None,
        Flaw::None,
        Flaw::None,
        Flaw::None,
        Unknown,
        Policies,
        Letters,
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
    (prop::bool::weighted(0.2), credential).prop_map(|(upper, (leaf, token))| Presented {
        upper,
        leaf,
        token,
    })
}

fn proof() -> impl Strategy<Value = Proof> {
    prop_oneof![
        2 => signer().prop_map(Proof::Leaf),
        2 => Just(Proof::CaCertificate),
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

/// What a device presents that is let in, mostly, and by which individual enrollment
/// if not by a group.
fn usual() -> impl Strategy<Value = (Presented, Option<Proof>)> {
    let leaf = |signer| (Some((signer, Flaw::None, 3)), None);
    let token = |key| (None, Some((key, IDS.len(), false)));
    select(vec![
        (leaf(Signer::Root), None),
        (leaf(Signer::Root), Some(Proof::CaCertificate)),
        (leaf(Signer::Middle), Some(Proof::CaCertificate)),
        (leaf(Signer::Middle), None),
        (leaf(Signer::Own), Some(Proof::Leaf(Signer::Own))),
        (token(Key::Group(0, true)), None),
        (token(Key::Own), Some(Proof::Keys)),
    ])
    .prop_map(|((leaf, token), proof)| {
        let upper = false;
        (Presented { upper, leaf, token }, proof)
    })
}

/// What is there in the beginning, and is written anew with other terms.
fn usual_enrollments(usual: &[(Presented, Option<Proof>)]) -> impl Strategy<Value = Step> + use<> {
    let own = usual.iter().enumerate();
    let own = own.filter_map(|(id, (_, proof))| Some((id, (*proof)?)));
    let mut enrollments: Vec<_> = own.map(|(id, proof)| (3, Some((id, proof)))).collect();
    enrollments.extend([(0, None), (1, None), (2, None)]);
    (select(enrollments), terms()).prop_map(|(enrollment, terms)| match enrollment {
        (_, Some((id, proof))) => Step::Own(id, proof, terms),
        (0, None) => Step::Group(Signer::Root, terms),
        (1, None) => Step::Group(Signer::Middle, terms),
        _ => Step::Keys(0, terms),
    })
}

pub fn scenarios() -> impl Strategy<Value = Scenario> {
    let scenario = vec(usual(), IDS.len()).prop_flat_map(|usual| {
        let enrollments = || usual_enrollments(&usual);
        let known: Vec<_> = usual
            .iter()
            .map(|(presented, _)| presented.clone())
            .collect();
        let again =
            (select(vec![0, 1, 2]), prop::bool::weighted(0.2)).prop_map(move |(id, upper)| {
                let presented = known[id].clone();
                Step::Attempt(id, Presented { upper, ..presented })
            });
        let any =
            (0..IDS.len(), presented()).prop_map(|(id, presented)| Step::Attempt(id, presented));
        let later = prop_oneof![5 => again, 3 => any, 2 => enrollments(), 2 => operator()];
        (vec(enrollments(), 4..9), vec(later, 12..24))
    });
    let seldom = || prop::bool::weighted(0.3);
    (seldom(), seldom(), scenario).prop_map(
        |(device_of_other_service, remote, (mut steps, later))| {
            steps.extend(later);
            Scenario {
                device_of_other_service,
                remote,
                steps,
            }
        },
    )
}
