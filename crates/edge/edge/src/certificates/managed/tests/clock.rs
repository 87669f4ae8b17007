//! A certificate that the device issues itself, and a clock that nobody has confirmed.

use super::*;
use crate::provision::clock_guard::{Certainty, Reading};

fn certain(time: Timestamp) -> Reading {
    Reading {
        time,
        certainty: Certainty::Confirmed,
        passed: time,
    }
}

fn unconfirmed(time: Timestamp, passed: Timestamp) -> Reading {
    Reading {
        time,
        certainty: Certainty::Unconfirmed,
        passed,
    }
}

/// Runs until there is nothing to do.
fn finish(world: &World, device: &Device<'_>, reading: Reading) {
    for _ in 0..10 {
        let (step, now) = device.managed.next_on_device(reading);
        match step {
            Step::Wait(_) => return,
            Step::MakeKey => device.managed.make_key().unwrap(),
            Step::Request(key) => {
                let chain = world.issue(device, &key, now);
                device.managed.issued(&key, chain).unwrap();
            }
            Step::Prove(leaf) => assert!(device.managed.proven(&leaf, reading.passed).unwrap()),
        }
    }
    panic!("no end: {:?}", device.managed.next_on_device(reading))
}

#[test]
fn a_clock_that_nobody_confirmed_replaces_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (world, mut device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    finish(&world, &device, certain(START));
    let first = device.managed.active_chain();
    let years_ahead = unconfirmed(START.plus(DAY * 1000), START.plus(DAY));
    device.restart();
    finish(&world, &device, years_ahead);
    assert_eq!(device.managed.active_chain(), first);
    finish(&world, &device, certain(START.plus(DAY)));
    assert_eq!(device.managed.active_chain(), first);
}

#[test]
fn the_time_for_which_the_device_was_on_makes_a_renewal_due() {
    let dir = tempfile::tempdir().unwrap();
    let (world, device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    finish(&world, &device, certain(START));
    let first = device.managed.active_chain();
    let due = START.plus(DAY * 25);
    finish(&world, &device, unconfirmed(START.plus(DAY * 1000), due));
    let second = device.managed.active_chain();
    assert_ne!(second, first);
    assert!(second[0].not_before() <= due);
}

#[test]
fn a_certificate_of_the_future_is_replaced_when_the_time_is_certain() {
    let dir = tempfile::tempdir().unwrap();
    let (world, device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    finish(&world, &device, unconfirmed(START.plus(DAY * 1000), START));
    assert!(device.managed.active_chain()[0].not_before() > START.plus(DAY * 900));
    finish(&world, &device, certain(START));
    let leaf = device.managed.active_chain().remove(0);
    assert!(leaf.not_before() <= START, "{:?}", leaf.not_before());
    assert_eq!(device.key_files(), 1);
}

#[test]
fn a_former_ca_is_forgotten_by_the_time_that_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let (world, device) = (World::new(), Device::start(dir.path(), wanted("d", true)));
    finish(&world, &device, certain(START));
    let first = device.managed.active_chain();
    let late = START.plus(LIFE * 51);
    device.managed.make_key().unwrap();
    let key = device.managed.pending(START).unwrap();
    let chain = world.issue(&device, &key, START);
    let leaf = chain[0].sha256();
    device.managed.issued(&key, chain).unwrap();
    let reading = unconfirmed(late, START);
    assert!(device.managed.proven(&leaf, reading.passed).unwrap());
    assert_eq!(device.managed.former(START), first[1..]);
}
