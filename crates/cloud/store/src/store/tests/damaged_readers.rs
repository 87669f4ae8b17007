//! Damaged rows of endpoints and consumer groups, which read the event log of a hub.

use super::*;
use crate::{ConsumerGroupRow, EndpointCursorRow};

async fn damage(store: &Store, sql: &'static str) {
    let damage = write(move |tx| tx.write(Lock::Directory, sql, []).map(drop));
    store.write(damage).await.unwrap();
}

fn cursor(name: &str, position: u64) -> EndpointCursorRow {
    EndpointCursorRow {
        endpoint: name.parse().unwrap(),
        position,
        delivered: 0,
        dead_lettered: 0,
        missed: 0,
    }
}

fn group(name: &str) -> ConsumerGroupRow {
    ConsumerGroupRow {
        name: name.parse().unwrap(),
        created: 1,
        checkpoint: Some((7, 1)),
    }
}

async fn insert_both(store: &Store, name: &'static str) {
    let insert = write(move |tx| {
        tx.insert_endpoint_cursor("hub", &cursor(name, 7))?;
        tx.insert_consumer_group("hub", &group(name))
    });
    store.write(insert).await.unwrap();
}

#[tokio::test]
async fn a_damaged_reader_hides_no_other_and_can_be_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let hub = HubRow {
        name: hub(),
        host: "localhost".parse().unwrap(),
        remote: None,
    };
    let insert = write(move |tx| tx.insert_hub(&hub, 1));
    store.write(insert).await.unwrap();
    insert_both(&store, "a").await;
    insert_both(&store, "b").await;
    for sql in [
        "UPDATE endpoint_cursors SET delivered = -1 WHERE endpoint = 'a'",
        "UPDATE consumer_groups SET created = 'x' WHERE name = 'a'",
    ] {
        damage(&store, sql).await;
    }
    let read = || {
        let cursors = store.read(|view| view.endpoint_cursors("hub")).unwrap();
        let groups = store.read(|view| view.consumer_groups("hub")).unwrap();
        let cursors = cursors.into_iter().map(Result::ok);
        let groups = groups.into_iter().map(Result::ok);
        (cursors.collect::<Vec<_>>(), groups.collect::<Vec<_>>())
    };
    let left = (
        vec![None, Some(cursor("b", 7))],
        vec![None, Some(group("b"))],
    );
    assert_eq!(read(), left);
    insert_both(&store, "a").await;
    let both = (
        vec![Some(cursor("a", 7)), Some(cursor("b", 7))],
        vec![Some(group("a")), Some(group("b"))],
    );
    assert_eq!(read(), both);
}
