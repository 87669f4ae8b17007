//! Changed bytes, files that are cut off, files that disappear.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::segment::PAGE;

/// A closed log of these records, and the payload of each number.
fn written(records: &[Vec<u8>]) -> (SimulatedDisk, BTreeMap<u64, Vec<u8>>) {
    let disk = SimulatedDisk::default();
    let log = on(&disk, ROOMY);
    let numbers = run(append_each(&log, records));
    (
        disk,
        numbers.into_iter().zip(records.iter().cloned()).collect(),
    )
}

/// Opens a damaged log and appends to it. Every record that is read was written, new records get
/// new numbers, and lost records are reported missing. Returns how many records are lost.
fn append_after_damage(disk: &SimulatedDisk, known: &BTreeMap<u64, Vec<u8>>) -> usize {
    let newest = *known.last_key_value().unwrap().0;
    let mut known = known.clone();
    for round in 0..2_u8 {
        let log = on(disk, ROOMY);
        let number = run(log.append(0, vec![round; 5])).unwrap();
        assert!(number > newest, "number {number} was given out before");
        assert_eq!(known.insert(number, vec![round; 5]), None, "{number} twice");
        let page = run(read_all(&log));
        for record in &page.records {
            assert_eq!(known.get(&record.offset), Some(&record.payload));
        }
        let read = offsets(&page);
        assert!(read.is_sorted_by(|a, b| a < b), "{read:?}");
        assert!(read.contains(&number), "a new record is read: {read:?}");
        let is_missing = |number: &u64| page.missing.iter().any(|range| range.contains(number));
        for lost in known.keys().filter(|number| !read.contains(number)) {
            assert!(is_missing(lost), "{lost} is lost and not reported");
        }
        assert!(
            !read.iter().any(is_missing),
            "a record that is read is not missing"
        );
        if round == 1 {
            return known.len() - read.len();
        }
    }
    0
}

#[test]
fn a_flipped_bit_costs_one_record() {
    let (disk, known) = written(&[vec![1; 3], vec![], b"three".to_vec(), vec![4; 9]]);
    let [path] = disk.files().try_into().unwrap();
    let used = disk
        .change(&path, |bytes| bytes.iter().rposition(|byte| *byte != 0))
        .unwrap();
    let page = usize::try_from(PAGE).unwrap();
    let mut lost = 0;
    for at in (0..40).chain(page..used + 40) {
        for bit in 0..8 {
            let copy = disk.copy();
            copy.change(&path, |bytes| bytes[at] ^= 1 << bit);
            let cost = append_after_damage(&copy, &known);
            assert!(
                cost <= usize::from(at >= page),
                "byte {at}, bit {bit}: {cost} lost"
            );
            lost += cost;
        }
    }
    assert!(lost > 1000, "the flipped bits are in records: {lost}");
}

#[test]
fn a_file_that_disappears_costs_its_records_and_no_numbers() {
    let (disk, known) = written(&vec![vec![3; 700]; 20]);
    let files = disk.files();
    assert!(files.len() > 3);
    // The first file would be deleted for its age: its records are not missing.
    for path in &files[1..] {
        let copy = disk.copy();
        copy.remove_file(path);
        let lost = append_after_damage(&copy, &known);
        assert!(lost <= 6, "{lost} records of {}", path.display());
    }
}

#[test]
fn a_sector_that_cannot_be_read_costs_the_records_in_it() {
    let records: Vec<_> = (0..8).map(|byte| vec![byte; 1000]).collect();
    let disk = SimulatedDisk::default();
    let large = LogOptions {
        max_segment_bytes: 1 << 20,
        ..ROOMY
    };
    let log = on(&disk, large);
    run(append_each(&log, &records));
    drop(log);
    let [path] = disk.files().try_into().unwrap();
    for (bad, lost) in [
        (0..100, 0),
        (PAGE..PAGE + 1, 4),
        (2 * PAGE..2 * PAGE + 1, 5),
    ] {
        let copy = disk.copy();
        copy.make_unreadable(&path, bad.clone());
        let log = on(&copy, large);
        let page = run(read_all(&log));
        assert_eq!(page.records.len(), 8 - lost, "{bad:?}");
        assert_eq!(page.missing.is_empty(), lost == 0, "{bad:?}");
        assert!(run(log.append(0, vec![])).unwrap() > 8);
    }
    // Nothing can be read: that may pass, so no record is reported missing.
    let log = on(&disk, large);
    disk.make_unreadable(&path, 0..u64::MAX);
    assert!(run(log.read(0, 10)).is_err());
}

/// A payload of valid frames with a salt that a sender guessed.
fn payload_of_frames() -> Vec<u8> {
    let mut payload = Vec::new();
    for number in 2..40 {
        frame::encode(SEED, (number, number - 1), 0, b"forged", &mut payload);
    }
    payload
}

#[test]
fn a_payload_that_looks_like_frames_is_not_read_as_records() {
    let (disk, known) = written(&[payload_of_frames(), vec![1], vec![2]]);
    let [path] = disk.files().try_into().unwrap();
    disk.change(&path, |bytes| bytes[usize::try_from(PAGE).unwrap()] ^= 1);
    assert_eq!(append_after_damage(&disk, &known), 1);
}

#[tokio::test]
async fn readers_learn_what_is_missing_while_the_log_is_open() {
    let disk = SimulatedDisk::default();
    let log = on(&disk, ROOMY);
    append_each(&log, &vec![vec![9; 100]; 5]).await;
    let [path] = disk.files().try_into().unwrap();
    let frame = frame::HEADER_BYTES + 100;
    let page = usize::try_from(PAGE).unwrap();
    // The payload of 2, the head of 4.
    disk.change(&path, |bytes| bytes[page + 2 * frame - 1] ^= 8);
    disk.change(&path, |bytes| bytes[page + 3 * frame + 1] ^= 8);
    let found = log.read(0, 10).await.unwrap();
    assert_eq!(offsets(&found), [1, 3, 5]);
    assert_eq!(found.missing, [2..=2, 4..=4]);
    let found = log.read(3, 10).await.unwrap();
    assert_eq!((offsets(&found), found.missing), (vec![5], vec![4..=4]));
    assert_eq!(log.append(0, vec![]).await.unwrap(), 6);
}

#[derive(Debug, Clone)]
enum Damage {
    Truncate(usize),
    Flip(usize, u8),
    Zero(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<usize>().prop_map(Damage::Truncate),
        (any::<usize>(), 1..=255_u8).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        (any::<usize>(), 1..2000_usize).prop_map(|(at, length)| Damage::Zero(at, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn after_any_damage_numbers_are_new_and_records_are_as_written(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 1..24),
        which in any::<prop::sample::Index>(),
        damage in damage(),
    ) {
        let (disk, known) = written(&records);
        let path = which.get(&disk.files()).clone();
        disk.change(&path, |bytes| {
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            match damage {
                Damage::Truncate(at) => bytes.truncate(at % used),
                Damage::Flip(at, mask) => bytes[at % used] ^= mask,
                Damage::Zero(at, length) => {
                    let at = at % used;
                    let end = bytes.len().min(at + length);
                    bytes[at..end].fill(0);
                }
            }
        });
        let lost = append_after_damage(&disk, &known);
        if matches!(damage, Damage::Flip(..)) {
            prop_assert!(lost <= 1);
        }
    }
}
