use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::store::tests::write;
use crate::{DataDirectory, ReadOnlyStore, Store, StoreOptions};

const SMALL: AuditLimits = AuditLimits {
    acts: 600,
    decisions: 600,
    refusals: 600,
    keep: None,
    segment: 200,
};

fn open(directory: &Path, limits: AuditLimits) -> Store {
    let options = StoreOptions {
        audit: limits,
        ..StoreOptions::default()
    };
    Store::open(DataDirectory::lock(directory).unwrap(), options).unwrap()
}

/// One commit with these records.
async fn commit(store: &Store, stream: AuditStream, time: i64, bodies: &[&str]) {
    let bodies: Vec<Vec<u8>> = bodies.iter().map(|body| body.as_bytes().to_vec()).collect();
    let write = write(move |tx| {
        let mut bodies = bodies.iter();
        bodies.try_for_each(|body| tx.audit(stream, time, body.clone()))
    });
    store.write(write).await.unwrap();
}

fn verify(directory: &Path, known: &[Known]) -> Result<Vec<Verified>, AuditError> {
    let store = Store::open_read_only(directory).unwrap();
    store
        .read(|view| Ok::<_, StoreError>(view.verify_audit(known)))
        .unwrap()
}

fn broken(directory: &Path) -> Broken {
    match verify(directory, &[]) {
        Err(AuditError::Broken(broken)) => broken,
        other => panic!("{other:?}"),
    }
}

fn bodies(store: &ReadOnlyStore, stream: AuditStream) -> Vec<String> {
    let read = |view: &crate::View<'_>| {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(block) = view.audit_block_from(stream, from)? {
            for record in records(&block.records) {
                found.push(String::from_utf8(record.unwrap().body.to_vec()).unwrap());
            }
            from = block.first + 1;
        }
        Ok::<_, StoreError>(found)
    };
    store.read(read).unwrap()
}

/// Three commits of two decisions each, and an act.
async fn filled(directory: &Path) -> Vec<Verified> {
    let store = open(directory, AuditLimits::default());
    for time in 1..=3 {
        commit(&store, AuditStream::Decisions, time, &["one", "two"]).await;
    }
    commit(&store, AuditStream::OperatorActs, 4, &["act"]).await;
    drop(store);
    verify(directory, &[]).unwrap()
}

/// Changes the database behind the server's back.
fn tamper(directory: &Path, sql: &str, params: impl rusqlite::Params) {
    let connection = Connection::open(DataDirectory::database(directory)).unwrap();
    assert!(connection.execute(sql, params).unwrap() > 0, "{sql}");
}

fn block(directory: &Path, first: u64) -> Vec<u8> {
    let store = Store::open_read_only(directory).unwrap();
    let found = store.read(|view| view.audit_block_from(AuditStream::Decisions, first));
    found.unwrap().unwrap().records
}

fn set_block(directory: &Path, first: u64, records: &[u8]) {
    let sql = "UPDATE audit_decisions SET records = ?2 WHERE first = ?1";
    tamper(directory, sql, rusqlite::params![first, records]);
}

#[tokio::test]
async fn an_empty_audit_and_a_filled_one_hold() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path(), SMALL));
    let empty = verify(directory.path(), &[]).unwrap();
    assert_eq!((empty[0].last, empty[1].last), (0, 0));
    let [acts, decisions, _] = filled(directory.path()).await[..] else {
        panic!()
    };
    assert_eq!((acts.first, acts.last), (1, 1));
    assert_eq!((decisions.first, decisions.last), (1, 6));
    // It goes on where it stood, in another life of the server and while one runs.
    let store = open(directory.path(), AuditLimits::default());
    commit(&store, AuditStream::Decisions, 5, &["seven"]).await;
    let again = verify(directory.path(), &[]).unwrap();
    assert_eq!((again[1].last, again[0]), (7, acts));
    assert_ne!(again[1].hash, decisions.hash);
}

#[tokio::test]
async fn a_unit_that_fails_leaves_no_record_and_its_neighbours_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), SMALL);
    let fail = write(|tx| {
        tx.audit(AuditStream::OperatorActs, 1, b"never happened".to_vec())?;
        Err::<(), _>(tx.damaged("x", "no"))
    });
    let (kept, failed) = tokio::join!(
        commit(&store, AuditStream::OperatorActs, 1, &["kept"]),
        store.write(fail)
    );
    assert!(failed.is_err());
    let ((), too_long) = (
        kept,
        store
            .write(write(|tx| {
                tx.audit(AuditStream::OperatorActs, 1, vec![b'x'; MAX_BODY + 1])
            }))
            .await,
    );
    assert!(too_long.is_err());
    drop(store);
    let read = Store::open_read_only(directory.path()).unwrap();
    assert_eq!(bodies(&read, AuditStream::OperatorActs), ["kept"]);
}

#[tokio::test]
async fn every_flipped_byte_of_a_block_is_found_in_its_record() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let whole = block(directory.path(), 3);
    let length = whole.len() / 2;
    for place in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x40;
        set_block(directory.path(), 3, &flipped);
        let found = broken(directory.path());
        let number = 3 + (place / length) as u64;
        assert_eq!(
            (found.stream, found.number),
            (AuditStream::Decisions, number),
            "byte {place}"
        );
        // Length, number, time, body, hash.
        let flaw = match place % length {
            0..4 => Flaw::Malformed,
            4..12 => return_missing(&flipped, place / length, length),
            _ => Flaw::Altered,
        };
        assert_eq!(found.flaw, flaw, "byte {place}");
    }
    set_block(directory.path(), 3, &whole);
    verify(directory.path(), &[]).unwrap();
}

fn return_missing(block: &[u8], record: usize, length: usize) -> Flaw {
    let number = block[record * length + 4..].first_chunk().unwrap();
    Flaw::Missing {
        found: u64::from_le_bytes(*number),
    }
}

#[tokio::test]
async fn records_that_are_removed_or_moved_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    filled(directory).await;
    let (second, third) = (block(directory, 3), block(directory, 5));
    let half = second.len() / 2;
    let swapped = [&second[half..], &second[..half]].concat();
    #[rustfmt::skip]
    let table = [
        (3, second[..second.len() - 1].to_vec(), 4, Flaw::Malformed),
        (3, second[..half].to_vec(), 4, Flaw::Missing { found: 5 }),
        (3, second[half..].to_vec(), 3, Flaw::Missing { found: 4 }),
        (3, swapped, 3, Flaw::Missing { found: 4 }),
        (3, third.clone(), 3, Flaw::Missing { found: 5 }),
        (3, Vec::new(), 3, Flaw::Misplaced),
        (5, third[..third.len() - 1].to_vec(), 6, Flaw::Malformed),
        (5, third[..half].to_vec(), 6, Flaw::CutOff),
    ];
    for (first, altered, number, flaw) in table {
        let whole = block(directory, first);
        set_block(directory, first, &altered);
        let found = broken(directory);
        assert_eq!((found.number, found.flaw), (number, flaw), "{altered:?}");
        set_block(directory, first, &whole);
    }
    verify(directory, &[]).unwrap();
    tamper(
        directory,
        "UPDATE audit_decisions SET until = 9 WHERE first = 3",
        [],
    );
    assert_eq!(broken(directory).flaw, Flaw::Misplaced);
    tamper(directory, "DELETE FROM audit_decisions WHERE first = 3", []);
    assert_eq!(
        (broken(directory).number, broken(directory).flaw),
        (3, Flaw::Missing { found: 5 })
    );
    tamper(directory, "DELETE FROM audit_decisions", []);
    assert_eq!(
        (broken(directory).number, broken(directory).flaw),
        (1, Flaw::CutOff)
    );
    tamper(
        directory,
        "UPDATE audit_segments SET bytes = 0 WHERE stream = 'acts'",
        [],
    );
    assert_eq!(broken(directory).stream, AuditStream::OperatorActs);
}

#[tokio::test]
async fn a_noted_hash_betrays_a_chain_that_was_computed_anew() {
    let directory = tempfile::tempdir().unwrap();
    let [_, noted, _] = filled(directory.path()).await[..] else {
        panic!()
    };
    let known = Known {
        stream: AuditStream::Decisions,
        number: noted.last,
        hash: noted.hash,
    };
    verify(directory.path(), &[known]).unwrap();
    let other = Known {
        hash: Hash::before(AuditStream::OperatorActs),
        ..known
    };
    let beyond = Known {
        number: noted.last + 1,
        ..known
    };
    for (known, flaw) in [(other, Flaw::NotTheKnown), (beyond, Flaw::CutOff)] {
        let Err(AuditError::Broken(found)) = verify(directory.path(), &[known]) else {
            panic!()
        };
        assert_eq!((found.number, found.flaw), (known.number, flaw));
    }
}

#[tokio::test]
async fn the_oldest_segments_go_and_the_rest_still_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), SMALL);
    for time in 0..100 {
        commit(
            &store,
            AuditStream::Decisions,
            time,
            &["a decision of some length"],
        )
        .await;
        let [acts, decisions, _] = verify(directory.path(), &[]).unwrap()[..] else {
            panic!()
        };
        assert_eq!(decisions.last, u64::try_from(time).unwrap() + 1);
        // A record has 77 bytes, a segment three of them; a cut of the acts tells of both streams.
        assert!(decisions.last - decisions.first < 13, "{decisions:?}");
        assert!(acts.last < acts.first + 16, "{acts:?}");
    }
    drop(store);
    let [acts, decisions, _] = verify(directory.path(), &[]).unwrap()[..] else {
        panic!()
    };
    assert!(
        decisions.first > 80 && acts.first > 1,
        "{acts:?} {decisions:?}"
    );
    // A larger removal than the server made has no act that records it.
    let store = open(directory.path(), AuditLimits::default());
    for time in 100..103 {
        commit(&store, AuditStream::Decisions, time, &["more"]).await;
    }
    drop(store);
    let sql = "DELETE FROM audit_segments WHERE stream = 'decisions' AND first = ?1";
    tamper(directory.path(), sql, [decisions.first]);
    let second = "DELETE FROM audit_decisions WHERE first < (SELECT min(first) FROM audit_segments WHERE stream = 'decisions')";
    tamper(directory.path(), second, []);
    assert_eq!(broken(directory.path()).flaw, Flaw::Unanchored);
}

#[tokio::test]
async fn a_flood_of_refusals_pushes_nothing_else_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), SMALL);
    commit(&store, AuditStream::OperatorActs, 0, &["the first act"]).await;
    commit(&store, AuditStream::Decisions, 0, &["the first decision"]).await;
    for time in 0..100 {
        commit(
            &store,
            AuditStream::Refusals,
            time,
            &["a refusal of some length"],
        )
        .await;
    }
    let [_, decisions, refusals] = verify(directory.path(), &[]).unwrap()[..] else {
        panic!()
    };
    assert_eq!((decisions.first, decisions.last), (1, 1));
    assert!(refusals.first > 80, "{refusals:?}");
}

#[tokio::test]
async fn what_is_too_old_goes_in_every_stream_and_the_rest_still_holds() {
    let directory = tempfile::tempdir().unwrap();
    let keep = AuditLimits {
        keep: Some(Duration::from_micros(16)),
        ..AuditLimits::default()
    };
    // 160 units of 100 ns are kept, in segments of ten.
    let store = open(directory.path(), keep);
    for time in (0..1000).step_by(5) {
        for stream in AuditStream::ALL {
            commit(&store, stream, time, &["something"]).await;
        }
    }
    let read = Store::open_read_only(directory.path()).unwrap();
    for stream in verify(directory.path(), &[]).unwrap() {
        let oldest = read
            .read(|view| view.audit_block_from(stream.stream, 0))
            .unwrap();
        let oldest = oldest.unwrap().since;
        assert!((800..=845).contains(&oldest), "{stream:?}: {oldest}");
    }
    let records = bodies(&read, AuditStream::OperatorActs).concat();
    assert!(
        records.contains(r#""kind":"audit.cut","book":"refusals""#),
        "{records}"
    );
}

#[test]
fn hashes_are_read_as_they_are_written() {
    let hash = Hash::before(AuditStream::OperatorActs);
    assert_eq!(hash.to_string().parse(), Ok(hash));
    assert_ne!(hash, Hash::before(AuditStream::Decisions));
    for bad in [
        "",
        &hash.to_string()[1..],
        &"+f".repeat(32),
        &"é".repeat(32),
    ] {
        assert_eq!(bad.parse::<Hash>(), Err(NoHash));
    }
}

proptest! {
    #[test]
    fn records_come_back_as_they_were_appended(written in prop::collection::vec((any::<i64>(), prop::collection::vec(any::<u8>(), 0..50)), 0..20), cut in any::<prop::sample::Index>()) {
        let mut head = record::Head { number: 0, hash: Hash::before(AuditStream::OperatorActs) };
        let (mut block, mut previous) = (Vec::new(), head.hash);
        for (time, body) in &written {
            head.append(*time, body, &mut block);
        }
        let mut read = 0;
        for (found, (time, body)) in records(&block).zip(&written) {
            let found = found.unwrap();
            read += 1;
            prop_assert_eq!((found.number, found.time, found.body), (read, *time, &body[..]));
            prop_assert_eq!(found.expected(previous), found.hash);
            previous = found.hash;
        }
        prop_assert_eq!(read as usize, written.len());
        // Any part of it gives a part of the records, and then at most one fault.
        let part = &block[..cut.index(block.len() + 1)];
        let whole = records(part).filter(Result::is_ok).count();
        prop_assert!(records(part).count() <= whole + 1);
        prop_assert!(part.len() == block.len() || whole < written.len());
    }

    #[test]
    fn no_bytes_are_too_odd_to_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(records(&bytes).count() < 10);
    }
}
