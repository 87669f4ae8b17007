//! What requests write while their upload is open, and that nothing counts which comes later.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{FILES, Grant, member};
use crate::world::{HOST, World, eventually};

/// A request whose body is not sent yet.
struct Held {
    go: oneshot::Sender<()>,
    answer: JoinHandle<u16>,
}

impl Held {
    async fn send(self) -> u16 {
        self.go.send(()).unwrap();
        self.answer.await.unwrap()
    }
}

fn list_of(ids: &[&str]) -> String {
    let ids = ids.iter().map(|id| format!("<Latest>{id}</Latest>"));
    format!("<BlockList>{}</BlockList>", ids.collect::<String>())
}

impl Grant {
    fn block(&self, id: &str) -> String {
        format!("{}&comp=block&blockid={id}", self.url)
    }

    fn list(&self) -> String {
        format!("{}&comp=blocklist", self.url)
    }
}

impl World {
    fn put_body(&self, url: &str, body: Body) -> JoinHandle<u16> {
        let request = Request::put(url).header("host", HOST);
        let request = request.header("x-ms-blob-type", "BlockBlob");
        let (hub, request) = (self.hub.clone(), request.body(body).unwrap());
        tokio::spawn(async move { hub.answer(request).await.status().as_u16() })
    }

    /// Begins a request, and waits until it is there.
    async fn hold(&self, (grant, url): (&Grant, &str), body: &'static str) -> Held {
        let folder = self.directory.path().join("uploads/.incoming");
        let folder = folder.join(&grant.correlation_id);
        let parts = || {
            if folder.exists() {
                self.parts(grant)
            } else {
                0
            }
        };
        let before = parts();
        let (go, gone) = oneshot::channel();
        let text = async move {
            let go: Result<(), _> = gone.await;
            go.unwrap();
            Ok::<_, Infallible>(Bytes::from_static(body.as_bytes()))
        };
        let answer = self.put_body(url, Body::from_stream(stream::once(text)));
        eventually(async || (parts() == before + 1).then_some(())).await;
        Held { go, answer }
    }

    async fn put_status(&self, url: &str, body: impl AsRef<[u8]>) -> u16 {
        self.put_blob(url, body.as_ref()).await.status
    }

    async fn set_status(&self, status: &str) {
        let body = json!({"deviceId": "d1", "status": status});
        let put = self.ask("PUT", "/devices/d1").if_match("*").json(&body);
        put.send().await.ok();
    }
}

#[tokio::test]
async fn what_arrives_after_the_end_of_an_upload_replaces_no_file() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a.txt", &token).await;
    assert_eq!(world.put_status(&grant.url, "first").await, 201);
    let (block, list) = (grant.block("MDAx"), grant.list());
    let held = [
        world.hold((&grant, &grant.url), "second").await,
        world.hold((&grant, &block), "block").await,
        world.hold((&grant, &list), "<BlockList/>").await,
    ];
    assert_eq!(world.end_upload(&grant, &token, true).await.status, 204);
    for held in held {
        assert_eq!(held.send().await, 403);
    }
    assert_eq!(world.uploaded("a.txt").as_deref(), Some("first"));
    assert_eq!(world.on_the_way(), 0);
}

#[tokio::test]
async fn a_device_that_is_created_again_does_not_get_files_of_the_one_before() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a.txt", &token).await;
    let held = world.hold((&grant, &grant.url), "of before").await;
    let delete = world.ask("DELETE", "/devices/d1").if_match("*");
    delete.send().await.ok();
    world.d1().await;
    assert_eq!(held.send().await, 403);
    assert_eq!(world.uploaded("a.txt"), None);
}

#[tokio::test]
async fn a_device_that_is_disabled_uploads_nothing() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a.txt", &token).await;
    let held = world.hold((&grant, &grant.url), "x").await;
    world.set_status("disabled").await;
    assert_eq!(world.put_status(&grant.url, "x").await, 403);
    assert_eq!(world.put_status(&grant.block("MDAx"), "x").await, 403);
    assert_eq!(held.send().await, 403);
    assert_eq!(world.uploaded("a.txt"), None);
    world.set_status("enabled").await;
    assert_eq!(world.put_status(&grant.url, "x").await, 201);
}

#[tokio::test]
async fn a_success_is_of_a_file_that_this_upload_wrote() {
    let world = World::start().await;
    let token = world.d1().await;
    let first = world.granted("a.txt", &token).await;
    assert_eq!(world.put_status(&first.url, "first").await, 201);
    let second = world.granted("a.txt", &token).await;
    let early = world.end_upload(&second, &token, true).await;
    let refused = early.refused(400, "ArgumentInvalid");
    assert!(refused.contains("not uploaded"), "{refused}");
    // A back end may have moved it before the device says that it is complete.
    std::fs::remove_file(world.directory.path().join("uploads/hub/d1/a.txt")).unwrap();
    assert_eq!(world.end_upload(&first, &token, true).await.status, 204);
    assert_eq!(world.put_status(&second.url, "second").await, 201);
    assert_eq!(world.end_upload(&second, &token, true).await.status, 204);
}

#[tokio::test]
async fn blocks_that_a_list_names_again_count_again() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a", &token).await;
    assert_eq!(
        world.put_status(&grant.block("MDAx"), [b'x'; 600]).await,
        201
    );
    let twice = list_of(&["MDAx", "MDAx"]);
    assert_eq!(world.put_status(&grant.list(), &twice).await, 413);
    assert_eq!(world.parts(&grant), 0);
    let long = vec![b' '; 8 * 1024 * 1024 + 1];
    assert_eq!(world.put_status(&grant.list(), &long).await, 413);
    let once = list_of(&["MDAx"]);
    assert_eq!(world.put_status(&grant.list(), &once).await, 201);
}

#[tokio::test]
async fn blocks_and_lists_may_be_sent_again() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a", &token).await;
    for text in ["a", "b"] {
        let block = text.repeat(1000);
        assert_eq!(world.put_status(&grant.block("MDAx"), block).await, 201);
    }
    assert_eq!(world.put_status(&grant.block("MDAy"), "unnamed").await, 201);
    let (list, once) = (grant.list(), list_of(&["MDAx"]));
    for _ in 0..2 {
        assert_eq!(world.put_status(&list, &once).await, 201);
        assert_eq!(world.uploaded("a"), Some("b".repeat(1000)));
    }
    let unnamed = list_of(&["MDAy"]);
    assert_eq!(world.put_status(&list, unnamed).await, 400, "it is gone");
    assert_eq!(
        world.put_status(&grant.block("MDAz"), [b'z'; 24]).await,
        201
    );
}

#[tokio::test]
async fn one_upload_has_few_requests_at_once() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a", &token).await;
    let list = grant.list();
    let mut held = vec![world.hold((&grant, &list), "<BlockList/>").await];
    let busy = world.put_blob(&list, b"<BlockList/>").await;
    let busy = (busy.status, busy.header("x-ms-error-code").to_owned());
    assert_eq!(busy, (503, "ServerBusy".to_owned()));
    for id in ["MDA1", "MDA2", "MDA3", "MDA4", "MDA5", "MDA6", "MDA7"] {
        held.push(world.hold((&grant, &grant.block(id)), "x").await);
    }
    assert_eq!(world.put_status(&grant.url, "x").await, 503);
    for held in held {
        assert_eq!(held.send().await, 201);
    }
    assert_eq!(world.put_status(&grant.url, "x").await, 201);
}

#[tokio::test]
async fn a_client_that_sends_nothing_or_a_list_slowly_is_late() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a", &token).await;
    tokio::time::pause();
    for url in [&grant.url, &grant.block("MDAx"), &grant.list()] {
        let nothing = stream::pending::<Result<Bytes, Infallible>>();
        let answer = world.put_body(url, Body::from_stream(nothing));
        assert_eq!(answer.await.unwrap(), 408, "{url}");
    }
    let slowly = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
    });
    let answer = world.put_body(&grant.list(), Body::from_stream(slowly));
    assert_eq!(answer.await.unwrap(), 408);
    assert_eq!(world.parts(&grant), 0);
}

#[tokio::test]
async fn uploads_leave_space_to_the_rest_of_the_server() {
    let mut world = World::start().await;
    let token = world.d1().await;
    world.keep_free(u64::MAX);
    let body = json!({"blobName": "a"});
    let ask = world.ask("POST", FILES).token(&token).json(&body);
    let grant = ask.send().await.ok();
    let url = format!("/uploads/d1/a{}", member(&grant, "sasToken"));
    let full = world.put_blob(&url, b"x").await;
    let full = (full.status, full.header("x-ms-error-code"));
    assert_eq!(full, (503, "ServerBusy"));
    world.keep_free(0);
    assert_eq!(world.put_status(&url, "x").await, 201);
}
