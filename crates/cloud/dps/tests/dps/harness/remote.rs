//! A service with a remote hub linked to it.

use axum::http::{Method, StatusCode};
use ids::Identity;
use pki::PresentedChain;
use serde_json::{Value, json};

use super::hierarchy::{chain, self_signed};
use super::remote_hub_server::{HOST, KEY};
use super::{Service, individual};

/// The host of the hub of this server.
pub const NEAR: &str = "hub.test";

impl Service {
    pub async fn link_remote(&self) {
        self.link_hub_at("remote", HOST).await;
    }

    pub async fn link_hub_at(&self, name: &str, host: &str) {
        let string =
            format!("HostName={host};SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}");
        let body = json!({"connectionString": string});
        let path = format!("/muster/v1/dps/linkedHubs/{name}");
        let linked = self.operate(Method::PUT, &path, &[], Some(&body)).await;
        assert_eq!(linked.status, StatusCode::OK, "{}", linked.body);
        assert_eq!(linked.body["location"], "remote");
    }

    pub async fn remote_link(&self) -> Value {
        let path = "/muster/v1/dps/linkedHubs/remote";
        self.operate(Method::GET, path, &[], None).await.body
    }

    /// Sends the device of an enrollment to a hub from now on.
    pub async fn lead_to(&self, id: &str, host: &str, more: &Value) {
        let path = format!("/enrollments/{id}");
        let mut enrollment = self.operate(Method::GET, &path, &[], None).await.body;
        enrollment["iotHubs"] = json!([host]);
        enrollment
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let headers = [("if-match", "*")];
        let put = self
            .operate(Method::PUT, &path, &headers, Some(&enrollment))
            .await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.body);
    }

    pub async fn near_twin(&self, id: &str) -> Option<registry::Twin> {
        let identity = Identity::device("hub".parse().unwrap(), id.parse().unwrap());
        let found = self.provisioning.registry().twin(&identity).await;
        found.ok().map(|found| found.twin)
    }

    pub async fn notes(&self, id: &str) -> Vec<Value> {
        let found = self
            .provisioning
            .allocations(&id.parse().unwrap())
            .await
            .unwrap();
        let mut notes = Vec::new();
        for record in found {
            let path = format!("/muster/v1/dps/allocations/{}", record.id);
            notes.push(self.operate(Method::GET, &path, &[], None).await.body);
        }
        notes
    }

    /// Creates a static enrollment.
    pub async fn enroll(&self, id: &str, host: &str, more: Value) -> PresentedChain {
        let leaf = self_signed(id);
        let mut enrollment = individual(id, &leaf);
        enrollment["allocationPolicy"] = json!("static");
        enrollment["iotHubs"] = json!([host]);
        enrollment["initialTwin"] =
            json!({"tags": {"by": "enrollment"}, "properties": {"desired": {"v": 1}}});
        let more = more.as_object().unwrap().clone();
        enrollment.as_object_mut().unwrap().extend(more);
        self.create(&format!("/enrollments/{id}"), &enrollment)
            .await;
        chain(&[&leaf])
    }
}
