//! A certificate, an issuer, and a hub that knows the certificate that registered last. The device
//! loses power before any of its writes.

mod clock;

use std::fs;
use std::path::Path;
use std::time::Duration;

use pki::{Issuer, PrivateKey, Serial, Validity, prepare, prove_request};
use proptest::prelude::*;

use super::*;
use crate::certificates::keys_in;
use crate::files::durable::power;

const START: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);
const DAY: Duration = Duration::from_secs(24 * 3600);
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

fn wanted(name: &str, rotate_key: bool) -> Wanted {
    Wanted {
        id: "device-id".to_owned(),
        profile: Profile::EdgeIdentity,
        subject: Subject::common_name(name).unwrap(),
        key_type: KeyType::Ec,
        issuer: "est https://est.example".to_owned(),
        renewal: Some(Renewal {
            policy: RenewalPolicy {
                threshold: Threshold::Percent(80),
                spread_percent: 5,
            },
            rotate_key,
        }),
        bootstrap: None,
    }
}

struct Device<'d> {
    folder: &'d Path,
    wanted: Wanted,
    managed: Managed,
}

impl<'d> Device<'d> {
    /// As the program starts, also after a loss of power.
    fn start(folder: &'d Path, wanted: Wanted) -> Self {
        let managed = Managed::open(
            wanted.clone(),
            folder.join("slots.json"),
            keys_in(&folder.join("keys")),
        )
        .unwrap();
        Self {
            folder,
            wanted,
            managed,
        }
    }

    fn restart(&mut self) {
        *self = Self::start(self.folder, self.wanted.clone());
    }

    fn key_files(&self) -> usize {
        fs::read_dir(self.folder.join("keys")).unwrap().count()
    }
}

struct World {
    issuer: Issuer,
    /// The certificate that opens the hub, until it expires.
    opens: Option<(Thumbprint, Timestamp)>,
}

impl World {
    fn new() -> Self {
        let key = PrivateKey::generate(KeyType::Ec).unwrap();
        let subject = Subject::common_name("fleet").unwrap();
        let profile = Profile::Root { path_length: 1 };
        let serial = Serial::random().unwrap();
        let prepared = prepare(
            profile,
            &subject,
            None,
            Validity::UpTo(LIFE * 50),
            serial,
            START,
        );
        let ca = prepared.unwrap().lint().unwrap().sign(&key).unwrap();
        Self {
            issuer: Issuer::new(ca, key).unwrap(),
            opens: None,
        }
    }

    fn issue(&self, device: &Device<'_>, key: &HeldKey, now: Timestamp) -> Vec<Certificate> {
        let proven = prove_request(key.request.as_bytes()).unwrap();
        assert_eq!(proven.common_name(), Some(device.wanted.subject.as_str()));
        let signer = device.managed.signer(key).unwrap().unwrap();
        let leaf = prepare(
            Profile::EdgeIdentity,
            &device.wanted.subject,
            Some(&self.issuer),
            Validity::UpTo(LIFE),
            Serial::random().unwrap(),
            now,
        );
        let leaf = leaf.unwrap().lint().unwrap().sign(&signer).unwrap();
        vec![leaf, self.issuer.certificate().clone()]
    }

    /// One step of the device. An error is a loss of power.
    fn attempt(&mut self, device: &Device<'_>, now: Timestamp) -> Result<Step, ManagedError> {
        let step = device.managed.next(now);
        match &step {
            Step::Wait(_) => {}
            Step::MakeKey => device.managed.make_key()?,
            Step::Request(key) => {
                let chain = self.issue(device, key, now);
                device.managed.issued(key, chain)?;
            }
            Step::Prove(leaf) => {
                // It registers, and the hub knows it alone.
                let newest = &device.managed.presentable(now)?[0];
                assert_eq!(newest.leaf().sha256(), *leaf);
                self.opens = Some((*leaf, newest.leaf().not_after()));
                assert!(device.managed.proven(leaf, now)?);
            }
        }
        Ok(step)
    }

    /// Runs until there is nothing to do. Says whether power was lost.
    fn finish(&mut self, device: &Device<'_>, now: Timestamp) -> bool {
        for _ in 0..10 {
            match self.attempt(device, now) {
                Ok(Step::Wait(_)) => return false,
                Ok(_) => {}
                Err(_) => return true,
            }
        }
        panic!("no end: {:?}", device.managed.next(now))
    }

    fn require_working(&self, device: &Device<'_>, now: Timestamp) {
        let opens = self.opens.filter(|(_, until)| *until >= now);
        let Some((opens, _)) = opens else { return };
        let all = device.managed.presentable(now).unwrap();
        let works = all.iter().any(|one| one.leaf().sha256() == opens);
        assert!(works, "{} to present, none opens the hub", all.len());
    }
}

#[test]
fn a_certificate_is_issued_renewed_and_its_old_key_destroyed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    assert!(device.managed.presentable(START).unwrap().is_empty());
    assert!(!world.finish(&device, START));
    let first = device.managed.active_chain();
    let Step::Wait(Some(due)) = device.managed.next(START) else {
        panic!("it waits for its renewal")
    };
    assert!(
        due > START.plus(DAY * 22) && due < START.plus(DAY * 24),
        "{due:?}"
    );
    device.restart();
    assert_eq!(device.managed.next(START), Step::Wait(Some(due)));
    assert!(!world.finish(&device, due));
    let second = device.managed.active_chain();
    assert_ne!(first[0].spki_der(), second[0].spki_der());
    assert_eq!(device.key_files(), 1);
    assert_eq!(device.managed.former(due), first[1..]);
    assert!(device.managed.former(START.plus(LIFE * 51)).is_empty());
}

#[test]
fn the_key_stays_when_it_is_not_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, device) = (World::new(), Device::start(dir.path(), wanted("d", false)));
    world.finish(&device, START);
    let first = device.managed.active_chain();
    world.finish(&device, START.plus(DAY * 25));
    let second = device.managed.active_chain();
    assert_ne!(first[0], second[0]);
    assert_eq!(first[0].spki_der(), second[0].spki_der());
    assert_eq!(device.key_files(), 1);
}

#[test]
fn a_refused_certificate_is_dropped_only_while_there_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    for _ in 0..2 {
        world.attempt(&device, START).unwrap();
    }
    let Step::Prove(first) = device.managed.next(START) else {
        panic!("it is issued")
    };
    assert!(!device.managed.disproven(&first).unwrap());
    world.finish(&device, START);
    let due = START.plus(DAY * 25);
    for _ in 0..2 {
        world.attempt(&device, due).unwrap();
    }
    let Step::Prove(second) = device.managed.next(due) else {
        panic!("it is issued")
    };
    assert!(!device.managed.disproven(&first).unwrap());
    assert!(!device.managed.take_refusal());
    assert!(device.managed.disproven(&second).unwrap());
    assert!(device.managed.take_refusal(), "the next one waits");
    assert!(!device.managed.take_refusal(), "once");
    assert_eq!(device.managed.next(due), Step::MakeKey);
    assert_eq!(device.key_files(), 1);
    world.require_working(&device, due);
}

/// Another registration id: the old certificate is used until there is one for the new id.
#[test]
fn a_certificate_for_another_name_is_requested_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, device) = (World::new(), Device::start(dir.path(), wanted("old", true)));
    world.finish(&device, START);
    drop(device);
    let device = Device::start(dir.path(), wanted("new", true));
    assert_eq!(device.managed.next(START), Step::MakeKey);
    world.require_working(&device, START);
    world.attempt(&device, START).unwrap();
    world.require_working(&device, START);
    drop(device);
    // And back, before it was issued.
    let device = Device::start(dir.path(), wanted("old", true));
    assert!(matches!(device.managed.next(START), Step::Wait(_)));
    drop(device);
    let device = Device::start(dir.path(), wanted("new", true));
    world.finish(&device, START);
    assert_eq!(device.managed.active_chain()[0].subject(), "CN=new");
    assert_eq!(device.key_files(), 1);
}

#[test]
fn a_key_that_is_gone_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    world.finish(&device, START);
    fs::remove_dir_all(dir.path().join("keys")).unwrap();
    device.restart();
    assert_eq!(device.managed.next(START), Step::MakeKey);
    world.finish(&device, START);
    assert_eq!(device.managed.presentable(START).unwrap().len(), 1);
    fs::write(dir.path().join("slots.json"), "{").unwrap();
    device.restart();
    world.finish(&device, START);
    assert_eq!(device.managed.presentable(START).unwrap().len(), 1);
}

/// An old key, whose certificate is lost with the record, is not taken for the next one.
#[test]
fn a_damaged_record_is_set_aside_and_its_keys_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, mut device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    world.finish(&device, START);
    let before = device.managed.active_chain();
    let record = dir.path().join("slots.json");
    let damaged = fs::read(&record).unwrap();
    let damaged = &damaged[..damaged.len() / 2];
    fs::write(&record, damaged).unwrap();
    device.restart();
    world.finish(&device, START);
    let after = device.managed.active_chain();
    assert_ne!(before[0].spki_der(), after[0].spki_der());
    assert_eq!(device.key_files(), 2);
    let aside = dir.path().join("slots.json.damaged");
    assert_eq!(fs::read(aside).unwrap(), damaged);
    device.restart();
    assert_eq!(device.managed.active_chain(), after);
}

#[test]
fn what_was_not_requested_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (world, device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    device.managed.make_key().unwrap();
    let key = device.managed.pending(START).unwrap();
    let chain = world.issue(&device, &key, START);
    let refused = |chain: Vec<Certificate>| device.managed.issued(&key, chain).unwrap_err();
    assert!(refused(Vec::new()).to_string().contains("no certificate"));
    let ca = refused(vec![chain[1].clone()]).to_string();
    assert!(ca.contains("another key"), "{ca}");
    let twice = refused(vec![chain[0].clone(), chain[0].clone()]).to_string();
    assert!(twice.contains("not followed"), "{twice}");
    device.managed.issued(&key, chain).unwrap();
}

/// Power is lost before each single step of each write of a first certificate and of a renewal.
#[test]
fn power_may_be_lost_before_any_step_of_any_write() {
    for rotate in [true, false] {
        let mut cuts = 0;
        for steps in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let mut world = World::new();
            let mut device = Device::start(dir.path(), wanted("d", rotate));
            let mut left = steps;
            for now in [START, START.plus(DAY * 25)] {
                power::cut_after(left);
                world.finish(&device, now);
                left = power::restore();
                device.restart();
                world.require_working(&device, now);
                assert!(!world.finish(&device, now), "it goes on where it was");
                world.require_working(&device, now);
                assert_eq!(device.key_files(), 1, "after {steps} steps");
            }
            if left > 0 {
                break;
            }
            cuts += 1;
        }
        assert!(cuts > 20, "{cuts}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Power is lost again and again, also while the device recovers.
    #[test]
    fn power_may_be_lost_again_and_again(
        cuts in prop::collection::vec((0u32..40, 0u64..40), 12),
        rotate in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new();
        let mut now = START;
        for (steps, days) in cuts {
            power::cut_after(steps);
            let opened = Managed::open(
                wanted("d", rotate),
                dir.path().join("slots.json"),
                keys_in(&dir.path().join("keys")),
            );
            if let Ok(managed) = opened {
                let device = Device { folder: dir.path(), wanted: wanted("d", rotate), managed };
                world.finish(&device, now);
            }
            power::restore();
            let device = Device::start(dir.path(), wanted("d", rotate));
            world.require_working(&device, now);
            now = now.plus(DAY * u32::try_from(days).unwrap());
        }
        let device = Device::start(dir.path(), wanted("d", rotate));
        prop_assert!(!world.finish(&device, now));
        prop_assert_eq!(device.key_files(), 1);
    }
}
