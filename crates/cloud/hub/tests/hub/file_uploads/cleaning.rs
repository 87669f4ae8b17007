//! What is on its way is deleted with its upload, and by the process that follows a killed one.

use serde_json::json;

use super::{Grant, member};
use crate::world::{World, eventually};

#[tokio::test]
async fn what_is_left_of_an_upload_is_deleted() {
    let mut world = World::start().await;
    let token = world.d1().await;
    let deleted = world.granted("a.txt", &token).await;
    let url = format!("{}&comp=block&blockid=MDAx", deleted.url);
    assert_eq!(world.put_blob(&url, b"x").await.status, 201);
    let kept = {
        let token = world.token("devices/d2", &world.sas_device("d2").await);
        let ask = world.ask("POST", "/devices/d2/files").token(&token);
        ask.json(&json!({"blobName": "b.txt"})).send().await.ok()
    };
    let kept = member(&kept, "correlationId");
    // As a process leaves it that is killed in the middle of a request.
    let folder = world.directory.path().join("uploads/.incoming").join(&kept);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("4d444178"), "a block").unwrap();
    std::fs::write(folder.join("before.1.part"), "half of").unwrap();
    let delete = world.ask("DELETE", "/devices/d1").if_match("*");
    delete.send().await.ok();
    world.begin_again();
    world.run();
    let left = eventually(async || {
        let left = std::fs::read_dir(&folder).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        (world.on_the_way() == 1 && left.len() == 1).then_some(left)
    });
    assert_eq!(left.await, ["4d444178"]);
}

impl World {
    /// The folder of what is on its way of an upload, made if it is missing.
    fn incoming(&self, grant: &Grant) -> std::path::PathBuf {
        let folder = self.directory.path().join("uploads/.incoming");
        let folder = folder.join(&grant.correlation_id);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_deleted_stops_no_other() {
    let mut world = World::start().await;
    let token = world.d1().await;
    let (ended, open) = (
        world.granted("ended", &token).await,
        world.granted("open", &token).await,
    );
    let kept = world.incoming(&open);
    // Wherever a folder is read in, some of these come first.
    for number in 0..20 {
        std::fs::create_dir_all(kept.join(format!("a{number}.part/below"))).unwrap();
        std::fs::write(kept.join(format!("b{number}.part")), "half of").unwrap();
        std::fs::write(kept.join(format!("../stray{number}")), "not of this server").unwrap();
    }
    world.begin_again();
    assert_eq!(world.end_upload(&ended, &token, false).await.status, 204);
    let left = world.incoming(&ended);
    world.run();
    eventually(async || (!left.exists() && world.parts(&open) == 20).then_some(())).await;
    assert_eq!(world.on_the_way(), 21, "what is open and what is a file");
}
