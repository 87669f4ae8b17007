//! What stops imports and exports, and what becomes of their files.

use ids::{HubName, JobId, Timestamp};
use registry::{HubError, JobDraft, JobKind, JobState, TransferCursor};

use super::{export, import};
use crate::world::World;

fn name(text: &str) -> HubName {
    HubName::parse(text).unwrap()
}

impl World {
    /// Why a job failed: never with the path of a folder of the server.
    async fn failure(&self, id: &str) -> String {
        let job = self.ended(id).await;
        assert_eq!(job["status"], "failed", "{job}");
        let reason = job["failureReason"].as_str().unwrap().to_owned();
        let directory = self.directory.path().to_str().unwrap();
        assert!(!reason.contains(directory), "{reason}");
        reason
    }

    /// An export whose file was complete when the process was killed.
    async fn complete_export(&self, written: u64) -> String {
        let id = self.create_transfer(&export()).await;
        let (hub, job_id) = (name("hub"), JobId::parse(&id).unwrap());
        let job = self.registry.job(&hub, &job_id).await.unwrap();
        let start = self.registry.start_job(&job, JobState::Working);
        start.await.unwrap();
        let (job, _) = self.registry.job_progress(job.row).unwrap().unwrap();
        let cursor = TransferCursor {
            complete: true,
            written,
            ..TransferCursor::default()
        };
        let advance = self.registry.advance_job(&job, cursor.to_text());
        advance.await.unwrap();
        id
    }

    async fn create_second_hub(&self) {
        let host = "second.example".parse().unwrap();
        let create = self.registry.create_hub(name("second"), host, self.now());
        create.await.unwrap();
    }
}

#[tokio::test]
async fn an_export_leaves_the_free_space_that_uploads_leave() {
    let mut world = World::start().await;
    world.keep_free(u64::MAX);
    world.run();
    let id = world.create_transfer(&export()).await;
    let reason = world.failure(&id).await;
    assert!(reason.contains("too little free space"), "{reason}");
    assert!(!world.transfer_file("devices.txt").exists());
}

#[tokio::test]
async fn a_failure_names_the_container_and_the_blob() {
    let world = World::start().await;
    let id = world.create_transfer(&import()).await;
    let reason = world.failure(&id).await;
    assert!(reason.starts_with("abc/devices.txt: "), "{reason}");
}

#[tokio::test]
async fn a_file_that_is_lost_before_it_is_moved_fails_its_job() {
    let mut world = World::start().await;
    world.stop();
    let lost = world.complete_export(5).await;
    world.begin_again();
    world.run();
    world.failure(&lost).await;
    world.stop();
    let moved = world.complete_export(5).await;
    world.devices_txt(&["moved"]);
    world.begin_again();
    world.run();
    assert_eq!(world.ended(&moved).await["status"], "completed");
    world.stop();
    let other = world.complete_export(6).await;
    world.begin_again();
    world.run();
    let reason = world.failure(&other).await;
    assert!(
        reason.contains("6 bytes were written, 5 are there"),
        "{reason}"
    );
}

#[tokio::test]
async fn files_of_a_hub_are_deleted_with_it() {
    let world = World::start().await;
    world.create_second_hub().await;
    let files = ["uploads", "transfers"].map(|folder| {
        let folder = world.directory.path().join(folder);
        (folder.join("second/d1/a.txt"), folder.join("hub/d1/a.txt"))
    });
    let leave = || {
        for file in files.iter().flat_map(|(one, other)| [one, other]) {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
    };
    let are_kept = |kept: bool| {
        for (second, first) in &files {
            assert_eq!((second.exists(), first.exists()), (kept, true));
        }
    };
    leave();
    let second = name("second");
    let delete = world.registry.delete_hub(&second, world.now());
    delete.await.unwrap();
    are_kept(false);
    // As after an end between the deletion and the deletion of the files.
    leave();
    let refused = world.registry.delete_hub(&second, world.now());
    assert!(refused.await.is_err());
    are_kept(true);
    world.create_second_hub().await;
    are_kept(false);
}

#[tokio::test]
async fn a_hub_with_an_open_import_is_not_deleted() {
    let mut world = World::start().await;
    world.stop();
    world.create_second_hub().await;
    let second = name("second");
    let draft = JobDraft {
        id: JobId::parse("j1").unwrap(),
        kind: JobKind::Import,
        condition: String::new(),
        work: import().to_string(),
        starts: Timestamp::from_unix_seconds(0),
        lifetime: 60,
    };
    let job = world.registry.create_job(&second, draft, world.now());
    let job = job.await.unwrap();
    let refused = world.registry.delete_hub(&second, world.now()).await;
    assert!(matches!(refused, Err(HubError::HasTransfer(_))));
    let cancel = world.registry.cancel_job(&second, &job.id, world.now());
    cancel.await.unwrap();
    let delete = world.registry.delete_hub(&second, world.now());
    delete.await.unwrap();
}
