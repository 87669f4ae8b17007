use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::*;
use crate::sqlite::schema;
use crate::{TwinRow, TwinWrite};

fn hub_name(hub: &str) -> HubName {
    hub.parse().unwrap()
}

fn device(hub: &str, id: &str, module: &str) -> IdentityRow {
    IdentityRow::example(hub, id, (!module.is_empty()).then_some(module))
}

fn entries(connection: &Connection) -> Vec<(String, bool, String, String, i64)> {
    let sql = "SELECT hub, of_module, path, value, identity FROM tag_values
               ORDER BY hub, of_module, path, value, identity";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, usize, Value),
    Patch(usize, usize, Value),
    Reset(usize, usize, Option<Value>),
    DeleteModule(usize),
    DeleteDevice(usize),
    Move(usize),
}

const DEVICES: [&str; 3] = ["a", "b", "c"];
const MODULES: [&str; 2] = ["", "m"];

fn tags() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(json!("x")),
        Just(json!(1)),
        Just(json!(true)),
        Just(json!({"deep": "y", "list": [1]})),
    ];
    prop::collection::btree_map("[pq]", value, 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn step() -> impl Strategy<Value = Step> {
    let (device, module) = (0..DEVICES.len(), 0..MODULES.len());
    prop_oneof![
        (device.clone(), module.clone(), tags()).prop_map(|(d, m, t)| Step::Insert(d, m, t)),
        (device.clone(), module.clone(), tags()).prop_map(|(d, m, t)| Step::Patch(d, m, t)),
        (device.clone(), module, prop::option::of(tags()))
            .prop_map(|(d, m, t)| Step::Reset(d, m, t)),
        device.clone().prop_map(Step::DeleteModule),
        device.clone().prop_map(Step::DeleteDevice),
        device.prop_map(Step::Move),
    ]
}

fn take(tx: &Tx<'_>, step: &Step) -> Result<(), StoreError> {
    let find = |d: usize, m: usize| {
        let row = device("h", DEVICES[d], MODULES[m]);
        tx.twin(row.key())
    };
    let (h, other) = (hub_name("h"), hub_name("other"));
    match step {
        Step::Insert(d, m, tags) if find(*d, *m)?.is_none() => {
            let twin = TwinRow {
                tags: Some(tags.to_string()),
                version: 1,
                ..TwinRow::default()
            };
            tx.insert_identity(&device("h", DEVICES[*d], MODULES[*m]), &twin)
        }
        Step::Patch(d, m, tags) => match find(*d, *m)? {
            Some((row, twin)) => {
                let tags = Some(tags.to_string());
                let write = TwinWrite {
                    version: twin.version + 1,
                    tags,
                    ..TwinWrite::default()
                };
                tx.update_twin(&row, twin.version, &write)
            }
            None => Ok(()),
        },
        Step::Reset(d, m, tags) => match find(*d, *m)? {
            Some((row, mut twin)) => {
                let before = twin.version;
                twin.version += 1;
                twin.tags = tags.as_ref().map(Value::to_string);
                tx.reset_twin(&row, before, &twin)
            }
            None => Ok(()),
        },
        Step::DeleteModule(d) => match find(*d, 1)? {
            Some((row, _)) => tx.delete_module(row.key(), row.revision),
            None => Ok(()),
        },
        Step::DeleteDevice(d) => tx.delete_device(&h, &DEVICES[*d].parse().unwrap()),
        Step::Move(d) => {
            let device = DEVICES[*d].parse().unwrap();
            tx.delete_device(&other, &device)?;
            tx.move_device((&h, &device), (&other, &device))
        }
        Step::Insert(..) => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written, the index is what the documents make.
    #[test]
    fn the_index_follows_the_documents(steps in prop::collection::vec(step(), 1..24)) {
        let file: Arc<Path> = Path::new(":memory:").into();
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, &file).unwrap();
        let tx = Tx::new(&connection, &file, 1);
        for one in &steps {
            take(&tx, one).unwrap();
        }
        let kept = entries(&connection);
        connection.execute("DELETE FROM tag_values", ()).unwrap();
        index_all(&connection).unwrap();
        prop_assert_eq!(kept, entries(&connection));
    }
}

#[test]
fn a_range_is_read_in_pages() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, &file).unwrap();
    let tx = Tx::new(&connection, &file, 1);
    for number in 0..10 {
        let tags = Some(json!({"n": number % 3}).to_string());
        let twin = TwinRow {
            tags,
            version: 1,
            ..TwinRow::default()
        };
        tx.insert_identity(&device("h", &format!("d{number}"), ""), &twin)
            .unwrap();
    }
    let value = |number: i64| TagValue::new(&json!(number)).unwrap();
    let range = TagRange {
        path: "n".to_owned(),
        from: value(1),
        to: value(2),
    };
    let h = hub_name("h");
    let hub = (&h, IdentityKind::Device);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = tx.tag_entries(hub, &range, after.as_ref(), 2).unwrap();
        let Some(last) = page.last().cloned() else {
            break;
        };
        found.extend(page);
        after = Some(last);
    }
    let rows: Vec<_> = found.iter().map(|entry| entry.identity).collect();
    assert_eq!(rows, [2, 5, 8, 3, 6, 9]);
    assert_eq!(tx.count_tag_entries(hub, &range, 100).unwrap(), 6);
    assert_eq!(tx.count_tag_entries(hub, &range, 4).unwrap(), 4);
    let modules = (&h, IdentityKind::Module);
    assert_eq!(tx.count_tag_entries(modules, &range, 100).unwrap(), 0);
}

/// Damaged tags have no entries, and leave none behind for a later device.
#[test]
fn a_row_with_damaged_tags_can_be_indexed_deleted_reset_and_moved() {
    let file: Arc<Path> = Path::new(":memory:").into();
    let mut connection = Connection::open_in_memory().unwrap();
    schema::migrate(&mut connection, &file).unwrap();
    let tx = Tx::new(&connection, &file, 1);
    let rows = [("a", ""), ("a", "m"), ("b", ""), ("c", ""), ("d", "")];
    for (id, module) in rows {
        let twin = TwinRow {
            tags: Some(json!({"p": id}).to_string()),
            version: 1,
            ..TwinRow::default()
        };
        tx.insert_identity(&device("h", id, module), &twin).unwrap();
    }
    let damage = "UPDATE identities SET tags = CASE device_id WHEN 'a' THEN x'ffff' ELSE 'no' END
                  WHERE device_id < 'd'";
    connection.execute(damage, ()).unwrap();
    assert_eq!(entries(&connection).len(), 5);

    let (h, other) = (hub_name("h"), hub_name("other"));
    let id = |id: &str| id.parse::<DeviceId>().unwrap();
    tx.delete_device(&h, &id("a")).unwrap();
    assert_eq!(entries(&connection).len(), 3);
    let row = IdentityRow {
        id: 3,
        ..device("h", "b", "")
    };
    let twin = TwinRow {
        tags: Some(json!({"q": 1}).to_string()),
        version: 2,
        ..TwinRow::default()
    };
    tx.reset_twin(&row, 1, &twin).unwrap();
    tx.move_device((&h, &id("c")), (&other, &id("c"))).unwrap();
    let kept = entries(&connection);
    let paths = kept
        .iter()
        .map(|(hub, _, path, ..)| (hub.as_str(), path.as_str()));
    assert_eq!(paths.collect::<Vec<_>>(), [("h", "p"), ("h", "q")]);

    connection.execute("DELETE FROM tag_values", ()).unwrap();
    index_all(&connection).unwrap();
    assert_eq!(kept, entries(&connection));
}
