//! Imports and exports of device identities.

mod faults;

use registry::AuditQuery;
use serde_json::{Value, json};

use crate::world::{World, eventually};

const CONTAINER: &str = "https://hub.example/transfers/abc";

impl World {
    fn transfer_file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("transfers/hub/abc").join(name)
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.transfer_file(name)).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn devices_txt(&self, lines: &[&str]) {
        std::fs::create_dir_all(self.transfer_file("")).unwrap();
        std::fs::write(self.transfer_file("devices.txt"), lines.join("\n")).unwrap();
    }

    async fn create_transfer(&self, request: &Value) -> String {
        let job = self
            .ask("POST", "/jobs/create")
            .json(request)
            .send()
            .await
            .ok();
        job["jobId"].as_str().unwrap().to_owned()
    }

    /// The job once it has ended.
    async fn ended(&self, id: &str) -> Value {
        eventually(async || {
            let job = self.get(&format!("/jobs/{id}")).await;
            job["endTimeUtc"].is_string().then_some(job)
        })
        .await
    }

    async fn transferred(&self, request: Value) -> Value {
        let id = self.create_transfer(&request).await;
        let job = self.ended(&id).await;
        assert_eq!(job["status"], "completed", "{job}");
        assert_eq!(job["progress"], 100);
        job
    }
}

fn export() -> Value {
    json!({"type": "export", "outputBlobContainerUri": CONTAINER})
}

fn import() -> Value {
    json!({"type": "import", "inputBlobContainerUri": format!("{CONTAINER}?sig=secret"),
        "outputBlobContainerUri": CONTAINER})
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let world = World::start().await;
    world.sas_device("d1").await;
    world.edge_device("e1").await;
    world
        .put(
            "/devices/d1/modules/m1",
            &json!({"moduleId": "m1", "deviceId": "d1"}),
        )
        .await;
    let twin = json!({"tags": {"site": "Busan"}, "properties": {"desired": {"a": {"b": 1}}}});
    world.patch_twin("d1", &twin).await;
    let before = world.get("/devices/d1").await;
    let module = world.get("/devices/d1/modules/m1").await;
    let job = world.transferred(export()).await;
    assert_eq!(job["type"], "export");
    let lines = world.lines("devices.txt");
    let names: Vec<_> = lines
        .iter()
        .map(|line| (&line["id"], &line["moduleId"]))
        .collect();
    let null = Value::Null;
    assert_eq!(names[0], (&json!("d1"), &null));
    assert_eq!(names[1], (&json!("d1"), &json!("m1")));
    assert_eq!(names[2], (&json!("e1"), &null));
    assert_eq!(lines.len(), 5, "with $edgeAgent and $edgeHub");
    assert_eq!(lines[0]["tags"]["site"], "Busan");
    assert_eq!(lines[0]["properties"]["desired"]["a"]["b"], 1);
    assert_eq!(lines[0]["authentication"], before["authentication"]);
    assert_eq!(lines[2]["capabilities"]["iotEdge"], true);

    for device in ["d1", "e1"] {
        let delete = world
            .ask("DELETE", &format!("/devices/{device}"))
            .if_match("*");
        delete.send().await.ok();
    }
    world.transferred(import()).await;
    assert_eq!(world.lines("importErrors.log"), [json!(null); 0]);
    let after = world.get("/devices/d1").await;
    assert_eq!(after["authentication"], before["authentication"]);
    let again = world.get("/devices/d1/modules/m1").await;
    assert_eq!(again["authentication"], module["authentication"]);
    let twin = world.get("/twins/d1").await;
    assert_eq!(twin["tags"]["site"], "Busan");
    assert_eq!(twin["properties"]["desired"]["a"]["b"], 1);
    assert_eq!(
        world.get("/devices/e1").await["capabilities"]["iotEdge"],
        true
    );
}

#[tokio::test]
async fn keys_stay_out_of_an_export_on_demand() {
    let world = World::start().await;
    world.sas_device("d1").await;
    world.devices_txt(&[]);
    world.transferred(import()).await;
    let mut without_keys = export();
    without_keys["excludeKeysInExport"] = json!(true);
    without_keys["outputBlobName"] = json!("old/names.txt");
    world.transferred(without_keys).await;
    let keys = &world.lines("old/names.txt")[0]["authentication"]["symmetricKey"];
    assert_eq!(*keys, json!({"primaryKey": null, "secondaryKey": null}));
    let left = std::fs::read_dir(world.directory.path().join("transfers/hub/.jobs"));
    assert_eq!(left.unwrap().count(), 0);
    let list = world.get("/jobs").await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(
        list[0]["inputBlobContainerUri"], CONTAINER,
        "without its token"
    );
}

#[tokio::test]
async fn each_line_of_an_import_counts_for_itself() {
    let world = World::start().await;
    world.sas_device("old").await;
    world.sas_device("gone").await;
    world.devices_txt(&[
        r#"{"id": "new", "importMode": "create", "status": "disabled", "tags": {"a": 1}}"#,
        r#"{"id": "new", "moduleId": "m1", "importMode": "create"}"#,
        r#"{"id": "old", "importMode": "create"}"#,
        "not json",
        r#"{"id": "bad id"}"#,
        r#"{"id": "old", "importMode": "updateTwin", "tags": {"b": 2}}"#,
        r#"{"id": "gone", "importMode": "delete"}"#,
        r#"{"id": "none", "importMode": "updateIfMatchETag", "eTag": "x"}"#,
    ]);
    world.transferred(import()).await;
    let new = world.get("/devices/new").await;
    assert_eq!(new["status"], "disabled");
    world.get("/devices/new/modules/m1").await;
    assert_eq!(world.get("/twins/old").await["tags"]["b"], 2);
    let gone = world.ask("GET", "/devices/gone").send().await;
    gone.refused(404, "DeviceNotFound");
    let errors = world.lines("importErrors.log");
    let codes: Vec<_> = errors
        .iter()
        .map(|error| (&error["deviceId"], &error["errorCode"]))
        .collect();
    let expected = [
        ("old", 409_001),
        ("", 400_004),
        ("bad id", 400_004),
        ("none", 404_001),
    ];
    let expected = expected.map(|(id, code)| (json!(id), json!(code)));
    assert_eq!(
        codes,
        expected.each_ref().map(|(id, code)| (id, code)),
        "{errors:?}"
    );
    // What a job does is the act of the operator who asked for it.
    let query = AuditQuery {
        about: Some("new".to_owned()),
        kind: Some("device.put".to_owned()),
        from: None,
        to: None,
        after: None,
        limit: 9,
    };
    let acts = world.registry.audit_page(query).await.unwrap().items;
    assert_eq!(acts.len(), 1);
    assert_eq!(acts[0].body["policy"], "iothubowner");
}

#[tokio::test]
async fn a_job_goes_on_where_the_process_before_was_killed() {
    let mut world = World::start().await;
    for number in 0..3 {
        world.sas_device(&format!("d{number}")).await;
    }
    world.stop();
    let id = world.create_transfer(&export()).await;
    // Half a line that no cursor knows of.
    let part = world.directory.path().join("transfers/hub/.jobs/1.part");
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, "{\"id\": \"d").unwrap();
    world.begin_again();
    world.run();
    assert_eq!(world.ended(&id).await["status"], "completed");
    assert_eq!(world.lines("devices.txt").len(), 3);
}

#[tokio::test]
async fn transfers_that_cannot_be_say_why() {
    let world = World::start().await;
    let refused = async |member: &str, value: Value, text: &str| {
        let mut request = import();
        request[member] = value;
        let answer = world
            .ask("POST", "/jobs/create")
            .json(&request)
            .send()
            .await;
        let said = answer.refused(400, "ArgumentInvalid");
        assert!(said.contains(text), "{said}");
    };
    refused("type", json!("x"), "type").await;
    refused(
        "inputBlobContainerUri",
        json!("file:///etc"),
        "https://HOST",
    )
    .await;
    let other = json!("https://other.example/transfers/abc");
    refused("outputBlobContainerUri", other, "not of this hub").await;
    refused("inputBlobName", json!("../../devices.txt"), "inputBlobName").await;
    refused(
        "includeConfigurations",
        json!(true),
        "includeConfigurations",
    )
    .await;
    let reader = world.policy("registryRead");
    let create = world.ask("POST", "/jobs/create").token(&reader);
    create
        .json(&export())
        .send()
        .await
        .refused(401, "IotHubUnauthorizedAccess");
}

#[tokio::test]
async fn jobs_of_files_fail_and_are_cancelled() {
    let mut world = World::start().await;
    let id = world.create_transfer(&import()).await;
    let job = world.ended(&id).await;
    assert_eq!(job["status"], "failed");
    assert!(
        job["failureReason"]
            .as_str()
            .unwrap()
            .contains("devices.txt"),
        "{job}"
    );
    let ended = world.ask("DELETE", &format!("/jobs/{id}")).send().await;
    ended.refused(400, "InvalidOperation");
    world.stop();
    let id = world.create_transfer(&export()).await;
    let path = format!("/jobs/{id}");
    assert_eq!(world.ask("DELETE", &path).send().await.status, 204);
    assert_eq!(world.get(&path).await["status"], "cancelled");
    let v2 = world.ask("GET", &format!("/jobs/v2/{id}")).send().await;
    v2.refused(404, "JobNotFound");
    world
        .ask("GET", "/jobs/none")
        .send()
        .await
        .refused(404, "JobNotFound");
}
