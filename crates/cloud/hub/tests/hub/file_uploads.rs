//! Files that devices upload: a token for one blob, the blob endpoint, and the notification.

mod cleaning;
mod open;

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Reply, World};

const FILES: &str = "/devices/d1/files";
const NOTIFICATIONS: &str = "/messages/serviceBound/filenotifications";

struct Grant {
    correlation_id: String,
    /// The path of the blob and its token.
    url: String,
}

fn member(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap().to_owned()
}

impl World {
    async fn begin_upload(&self, name: &str, token: &str) -> Reply {
        let ask = self.ask("POST", FILES).token(token);
        ask.json(&json!({"blobName": name})).send().await
    }

    async fn granted(&self, name: &str, token: &str) -> Grant {
        let grant = self.begin_upload(name, token).await.ok();
        let member = |name: &str| member(&grant, name);
        assert_eq!(member("hostName"), "hub.example");
        assert_eq!(member("blobName"), format!("d1/{name}"));
        let (container, blob) = (member("containerName"), member("blobName"));
        Grant {
            correlation_id: member("correlationId"),
            url: format!(
                "/{container}/{}{}",
                blob.replace(' ', "%20"),
                member("sasToken")
            ),
        }
    }

    /// A request to the blob endpoint, which asks for no other authorization.
    async fn put_blob(&self, url: &str, body: &[u8]) -> Reply {
        let ask = self.ask("PUT", url).anonymous();
        let ask = ask.header("x-ms-blob-type", "BlockBlob");
        ask.bytes(body).send_to(url).await
    }

    async fn end_upload(&self, grant: &Grant, token: &str, success: bool) -> Reply {
        let body = json!({"correlationId": grant.correlation_id, "isSuccess": success,
            "statusCode": 201, "statusDescription": "ok"});
        let ask = self.ask("POST", &format!("{FILES}/notifications"));
        ask.token(token).json(&body).send().await
    }

    fn uploaded(&self, name: &str) -> Option<String> {
        let file = self.directory.path().join("uploads/hub/d1").join(name);
        std::fs::read_to_string(file).ok()
    }

    fn on_the_way(&self) -> usize {
        let folder = self.directory.path().join("uploads/.incoming");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// What is on its way of an upload and no block.
    fn parts(&self, grant: &Grant) -> usize {
        let folder = self.directory.path().join("uploads/.incoming");
        let names = std::fs::read_dir(folder.join(&grant.correlation_id)).unwrap();
        names
            .filter(|name| name.as_ref().unwrap().path().extension().is_some())
            .count()
    }

    async fn d1(&self) -> String {
        let key = self.sas_device("d1").await;
        self.token("devices/d1", &key)
    }
}

#[tokio::test]
async fn a_file_is_uploaded_and_back_ends_read_of_it() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("logs/a b.txt", &token).await;
    let stored = world.put_blob(&grant.url, b"hello").await;
    assert_eq!(stored.status, 201, "{}", stored.text);
    assert!(stored.header("etag").starts_with("\"0x"));
    assert_eq!(world.uploaded("logs/a b.txt").as_deref(), Some("hello"));
    assert_eq!(world.ask("GET", NOTIFICATIONS).send().await.status, 204);
    assert_eq!(world.end_upload(&grant, &token, true).await.status, 204);
    assert_eq!(world.on_the_way(), 0);
    let read = world.ask("GET", NOTIFICATIONS).send().await;
    let kind = "application/vnd.microsoft.iothub.filenotification.json";
    assert_eq!(read.header("content-type"), kind);
    let record: Value = serde_json::from_str(&read.text).unwrap();
    assert_eq!(record["deviceId"], "d1");
    assert_eq!(record["blobName"], "d1/logs/a b.txt");
    assert_eq!(
        record["blobUri"],
        "https://hub.example/uploads/d1/logs/a%20b.txt"
    );
    assert_eq!(record["blobSizeInBytes"], 5);
    let lock = read.header("etag").trim_matches('"').to_owned();
    let done = world.ask("DELETE", &format!("{NOTIFICATIONS}/{lock}"));
    assert_eq!(done.send().await.status, 204);
    assert_eq!(world.ask("GET", NOTIFICATIONS).send().await.status, 204);
    // It has ended: neither its token nor its correlation id counts any more.
    assert_eq!(world.put_blob(&grant.url, b"again").await.status, 403);
    let again = world.end_upload(&grant, &token, true).await;
    again.refused(404, "InvalidOperation");
}

#[tokio::test]
async fn blocks_become_a_file_in_the_order_of_their_list() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("big.bin", &token).await;
    for (id, text) in [("MDAy", "world"), ("MDAx", "hello ")] {
        let url = format!("{}&comp=block&blockid={id}", grant.url);
        assert_eq!(world.put_blob(&url, text.as_bytes()).await.status, 201);
    }
    assert_eq!(world.uploaded("big.bin"), None, "not before the list");
    let list = |ids: &[&str]| {
        let ids: String = ids
            .iter()
            .map(|id| format!("<Latest>{id}</Latest>"))
            .collect();
        format!("<?xml version='1.0' encoding='utf-8'?><BlockList>{ids}</BlockList>")
    };
    let url = format!("{}&comp=blocklist", grant.url);
    let unknown = world
        .put_blob(&url, list(&["MDAx", "MDAz"]).as_bytes())
        .await;
    assert_eq!(
        (unknown.status, unknown.header("x-ms-error-code")),
        (400, "InvalidBlockList")
    );
    let malformed = world.put_blob(&url, b"<BlockList>").await;
    assert_eq!(malformed.header("x-ms-error-code"), "InvalidXmlDocument");
    let whole = world
        .put_blob(&url, list(&["MDAx", "MDAy"]).as_bytes())
        .await;
    assert_eq!(whole.status, 201, "{}", whole.text);
    assert_eq!(world.uploaded("big.bin").as_deref(), Some("hello world"));
    // The old form of the notification names the upload in its path.
    let path = format!("{FILES}/notifications/{}", grant.correlation_id);
    let ended = world.ask("POST", &path).token(&token);
    assert_eq!(
        ended.json(&json!({"isSuccess": true})).send().await.status,
        204
    );
    assert_eq!(world.on_the_way(), 0);
}

#[tokio::test]
async fn a_token_opens_one_blob_for_writing_for_an_hour() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a.txt", &token).await;
    let refused = async |url: &str| {
        let answer = world.put_blob(url, b"x").await;
        let expected = (403, "AuthenticationFailed");
        assert_eq!(
            (answer.status, answer.header("x-ms-error-code")),
            expected,
            "{url}"
        );
    };
    refused(&grant.url.replace("a.txt", "b.txt")).await;
    refused(&grant.url.replace("/d1/", "/d2/")).await;
    refused(&grant.url.replace("sp=rw", "sp=rwd")).await;
    refused(&grant.url.replace("sig=", "sig=AA")).await;
    refused("/uploads/d1/a.txt").await;
    let read = world
        .ask("GET", &grant.url)
        .anonymous()
        .send_to(&grant.url)
        .await;
    assert_eq!(read.status, 405);
    let page = world
        .ask("PUT", &grant.url)
        .anonymous()
        .send_to(&grant.url)
        .await;
    assert_eq!(page.header("x-ms-error-code"), "InvalidHeaderValue");
    world.advance(Duration::from_secs(3600));
    refused(&grant.url).await;
    assert_eq!(world.uploaded("a.txt"), None);
}

#[tokio::test]
async fn files_have_limits() {
    let world = World::start().await;
    let token = world.d1().await;
    let mut open = Vec::new();
    for number in 0..10 {
        open.push(world.granted(&format!("{number}"), &token).await);
    }
    let full = world.begin_upload("eleven", &token).await;
    full.refused(403, "DeviceMaximumActiveFileUploadLimitExceeded");
    // One that failed makes room.
    let ended = world.end_upload(&open[0], &token, false).await;
    assert_eq!(ended.status, 204);
    world.granted("eleven", &token).await;
    assert_eq!(world.ask("GET", NOTIFICATIONS).send().await.status, 204);

    let large = world.put_blob(&open[1].url, &[b'x'; 1025]).await;
    assert_eq!(
        (large.status, large.header("x-ms-error-code")),
        (413, "RequestBodyTooLarge")
    );
    let block = |id: &str| format!("{}&comp=block&blockid={id}", open[2].url);
    assert_eq!(
        world.put_blob(&block("MDAx"), &[b'x'; 1000]).await.status,
        201
    );
    assert_eq!(
        world.put_blob(&block("MDAy"), &[b'x'; 100]).await.status,
        413,
        "together"
    );
    let missing = world.end_upload(&open[3], &token, true).await;
    assert!(
        missing
            .refused(400, "ArgumentInvalid")
            .contains("not uploaded")
    );
    for name in ["", "../x", "a//b"] {
        let refused = world.begin_upload(name, &token).await;
        refused.refused(400, "ArgumentInvalid");
    }
    // A file is not written over by a client that asks for a new one, nor turned into a folder.
    assert_eq!(world.put_blob(&open[4].url, b"first").await.status, 201);
    let again = world.ask("PUT", &open[4].url).anonymous();
    let again = again
        .header("x-ms-blob-type", "BlockBlob")
        .header("if-none-match", "*");
    assert_eq!(again.send_to(&open[4].url).await.status, 409);
    let ended = world.end_upload(&open[5], &token, false).await;
    assert_eq!(ended.status, 204);
    let below = world.granted("4/below", &token).await;
    assert_eq!(world.put_blob(&below.url, b"x").await.status, 409);
    assert_eq!(world.uploaded("4").as_deref(), Some("first"));
}

#[tokio::test]
async fn a_body_has_the_digest_that_its_client_says() {
    let world = World::start().await;
    let token = world.d1().await;
    let grant = world.granted("a.txt", &token).await;
    let put = async |url: &str, (name, value): (&'static str, &str)| {
        let ask = world.ask("PUT", url).anonymous().bytes(b"hello");
        let ask = ask
            .header("x-ms-blob-type", "BlockBlob")
            .header(name, value);
        let ask = ask.header("x-ms-client-request-id", "c-1");
        let answer = ask.send_to(url).await;
        assert_eq!(answer.header("x-ms-client-request-id"), "c-1");
        (
            answer.status,
            answer.header("x-ms-error-code").to_owned(),
            answer,
        )
    };
    let right = "XUFAKrxLKna5cZ2REBfFkg==";
    let block = format!("{}&comp=block&blockid=MDAx", grant.url);
    for url in [&grant.url, &block] {
        let (status, code, _) = put(url, ("content-md5", "XUFAKrxLKna5cZ2REBfFkA==")).await;
        assert_eq!((status, &*code), (400, "Md5Mismatch"), "{url}");
        let (status, code, _) = put(url, ("content-md5", "XUFA")).await;
        assert_eq!((status, &*code), (400, "InvalidMd5"), "{url}");
        for name in ["x-ms-content-crc64", "if-match", "x-ms-lease-id"] {
            let (status, code, _) = put(url, (name, "x")).await;
            assert_eq!((status, &*code), (400, "UnsupportedHeader"), "{name}");
        }
    }
    assert_eq!(world.uploaded("a.txt"), None);
    assert_eq!(
        world.parts(&grant),
        0,
        "nothing of what was refused is left"
    );
    let (status, _, answer) = put(&block, ("content-md5", right)).await;
    assert_eq!((status, answer.header("content-md5")), (201, right));
    let (status, _, answer) = put(&grant.url, ("x-ms-blob-content-md5", right)).await;
    assert_eq!((status, answer.header("content-md5")), (201, right));
    assert_eq!(world.uploaded("a.txt").as_deref(), Some("hello"));
}

#[tokio::test]
async fn the_early_form_names_the_file_in_the_path() {
    let world = World::start().await;
    let token = world.d1().await;
    let begin = async |name: &str| {
        let ask = world.ask("GET", &format!("{FILES}/{name}"));
        ask.token(&token).send().await
    };
    let grant = begin("logs%2Fa.txt").await.ok();
    assert_eq!(member(&grant, "blobName"), "d1/logs/a.txt");
    // As the storage SDK of Node writes it.
    let url = format!("/uploads/d1%2Flogs%2Fa.txt{}", member(&grant, "sasToken"));
    assert_eq!(world.put_blob(&url, b"hello").await.status, 201);
    assert_eq!(world.uploaded("logs/a.txt").as_deref(), Some("hello"));
    begin("..%2Fa").await.refused(400, "ArgumentInvalid");
}

#[tokio::test]
async fn only_the_device_uploads_and_only_back_ends_read_of_it() {
    let world = World::start().await;
    let token = world.d1().await;
    let other = world.token("devices/d2", &world.sas_device("d2").await);
    let grant = world.granted("a.txt", &token).await;
    world
        .begin_upload("a.txt", &other)
        .await
        .refused(401, "IotHubUnauthorized");
    let body = json!({"correlationId": grant.correlation_id, "isSuccess": false});
    let stolen = world
        .ask("POST", "/devices/d2/files/notifications")
        .token(&other);
    stolen
        .json(&body)
        .send()
        .await
        .refused(404, "InvalidOperation");
    let read = world.ask("GET", NOTIFICATIONS).token(&token).send().await;
    assert_eq!(read.status, 401);
    let reader = world.policy("registryRead");
    let read = world.ask("GET", NOTIFICATIONS).token(&reader).send().await;
    assert_eq!(read.status, 401);
    assert_eq!(world.put_blob(&grant.url, b"x").await.status, 201);
    assert_eq!(world.end_upload(&grant, &token, true).await.status, 204);
    let lock = |reply: &Reply| reply.header("etag").trim_matches('"').to_owned();
    let read = world.ask("GET", NOTIFICATIONS).send().await;
    assert_eq!(
        world.ask("GET", NOTIFICATIONS).send().await.status,
        204,
        "it is locked"
    );
    let abandon = format!("{NOTIFICATIONS}/{}/abandon", lock(&read));
    assert_eq!(world.ask("POST", &abandon).send().await.status, 204);
    let again = world.ask("GET", NOTIFICATIONS).send().await;
    assert_eq!(again.header("iothub-deliverycount"), "1");
    world
        .ask("DELETE", &format!("{NOTIFICATIONS}/{}", lock(&read)))
        .send()
        .await
        .refused(412, "DeviceMessageLockLost");
}
