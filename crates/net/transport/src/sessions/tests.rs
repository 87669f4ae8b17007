use ids::{DeviceId, ModuleId, Timestamp};

use super::*;

struct Unobserved;

impl PresenceObserver for Unobserved {
    fn changed(&self, _: &Identity, _: Presence) {}
}

fn sessions() -> Sessions {
    Sessions::new(
        Arc::new(|| Timestamp::from_unix_seconds(1)),
        Arc::new(Unobserved),
    )
}

fn identity(module: Option<&str>) -> Identity {
    Identity {
        hub: HubName::parse("hub").unwrap(),
        device: DeviceId::parse("d1").unwrap(),
        module: module.map(|module| ModuleId::parse(module).unwrap()),
    }
}

#[tokio::test]
async fn a_newer_connection_replaces_the_older_one() {
    let sessions = sessions();
    let older = sessions.open(identity(None)).unwrap();
    let newer = sessions.open(identity(None)).unwrap();
    assert!(
        older
            .close_notice()
            .closed()
            .await
            .reason
            .contains("400027")
    );
    drop(older);
    assert_eq!(sessions.connected(&identity(None).hub), 1);
    assert!(sessions.presence(&identity(None)).connected);
    drop(newer);
    assert_eq!(sessions.connected(&identity(None).hub), 0);
    assert!(!sessions.presence(&identity(None)).connected);
}

#[tokio::test]
async fn a_deleted_device_takes_its_modules_with_it_and_leaves_nothing() {
    let sessions = sessions();
    let device = sessions.open(identity(None)).unwrap();
    let module = sessions.open(identity(Some("m"))).unwrap();
    let gone = Close::new("identity_deleted", "the identity was deleted");
    sessions.close_with_modules(&identity(None), &gone);
    sessions.forget(&identity(None));
    for notice in [device.close_notice(), module.close_notice()] {
        assert_eq!(notice.closed().await.code, "identity_deleted");
    }
    drop((device, module));
    assert!(locked(&sessions.table).is_empty());
}

#[tokio::test]
async fn a_mailbox_that_is_not_emptied_closes_its_session() {
    let sessions = sessions();
    let mailbox = sessions.open(identity(None)).unwrap();
    mailbox.want_desired(true);
    for version in 1..=200 {
        sessions.push_desired(&identity(None), &Map::new(), version);
    }
    assert_eq!(mailbox.close_notice().closed().await.code, "not_taken");
}

#[tokio::test]
async fn patches_reach_only_sessions_that_subscribed() {
    let sessions = sessions();
    let mut device = sessions.open(identity(None)).unwrap();
    let mut module = sessions.open(identity(Some("m"))).unwrap();
    device.want_desired(true);
    for (version, module) in [(1, None), (2, Some("m")), (3, Some("other"))] {
        sessions.push_desired(&identity(module), &Map::new(), version);
    }
    assert!(matches!(
        device.next().await,
        Push::Desired { version: 1, .. }
    ));
    module.want_desired(true);
    sessions.push_desired(&identity(Some("m")), &Map::new(), 4);
    assert!(matches!(
        module.next().await,
        Push::Desired { version: 4, .. }
    ));
}

#[tokio::test]
async fn a_call_ends_with_its_session() {
    let sessions = sessions();
    let mailbox = sessions.open(identity(None)).unwrap();
    let offline = sessions.call(&identity(None), "ping", Bytes::new());
    assert_eq!(offline.err(), Some(NotDelivered::Offline));
    mailbox.want_methods(true);
    let mut call = sessions
        .call(&identity(None), "ping", Bytes::new())
        .ok()
        .unwrap();
    drop(mailbox);
    assert!(call.answer().await.is_none());
}

#[test]
fn no_session_is_opened_while_draining() {
    let sessions = sessions();
    sessions.drain("bye");
    assert!(sessions.open(identity(None)).is_none());
}
