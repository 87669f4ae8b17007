use ids::{Identity, Timestamp};
use registry::{IfMatch, LastSeen};

use crate::identities::edge;
use crate::{Bench, device, hub, open};

// H8, H12
pub(crate) async fn when_devices_were_heard_of_outlives_the_process(bench: Bench) {
    let registry = &bench.registry;
    for id in ["d", "other"] {
        registry
            .put_device(&hub(), &device(id), edge(), &IfMatch::Absent, bench.now())
            .await
            .unwrap();
    }
    let of = |id: &str| Identity::device(hub(), device(id));
    let at = Timestamp::from_unix_seconds;
    let seen = |changed: i64, active: i64, model: Option<&str>| LastSeen {
        changed: at(changed),
        active: at(active),
        model_id: model.map(str::to_owned),
    };
    let notes = vec![
        (of("d"), seen(10, 10, Some("dtmi:a;1"))),
        (of("nobody"), seen(10, 10, None)),
    ];
    registry.note_seen(notes).await.unwrap();
    // Heard of, and nothing else; then an older note, and a newer one without a model.
    let heard = LastSeen {
        active: at(20),
        ..LastSeen::NEVER
    };
    for note in [heard, seen(5, 5, None), seen(15, 15, None)] {
        registry.note_seen(vec![(of("d"), note)]).await.unwrap();
    }
    let directory = bench.directory;
    drop(bench.registry);
    let registry = open(directory.path(), "localhost").await;
    let all = [of("d"), of("other"), of("nobody")];
    let found = registry.last_seen(&all).await.unwrap();
    let expected = [
        seen(15, 20, Some("dtmi:a;1")),
        LastSeen::NEVER,
        LastSeen::NEVER,
    ];
    assert_eq!(found, expected);
    // A device of the same name that is made later is another one.
    registry
        .delete_device(&hub(), &device("d"), &IfMatch::Any)
        .await
        .unwrap();
    registry
        .put_device(&hub(), &device("d"), edge(), &IfMatch::Absent, at(30))
        .await
        .unwrap();
    let found = registry.last_seen(&all[..1]).await.unwrap();
    assert_eq!(found, [LastSeen::NEVER]);
}
