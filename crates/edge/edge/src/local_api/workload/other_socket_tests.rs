//! The socket of `listen.workload_uri`.

use super::*;
use crate::identities::master_key::tests::master_in;

#[tokio::test]
async fn everybody_is_served_at_the_owners_path_too() {
    let dir = tempfile::tempdir().unwrap();
    let workload = Workload {
        shared: SharedState::default(),
        master: master_in(&dir.path().join("keys")),
        trust_bundle: None,
        edge_ca: Arc::default(),
    };
    let (own, paths) = (
        dir.path().join("my.sock"),
        Paths::under(dir.path()).unwrap(),
    );
    let mut sockets = ModuleSockets::new(workload, paths).also_at(Some(own.clone()));
    sockets.ensure(BTreeSet::new());
    let connect = crate::local_api::unix_socket::connect;
    connect(&own).await.unwrap();
    connect(&sockets.paths.workload_socket()).await.unwrap();
}
