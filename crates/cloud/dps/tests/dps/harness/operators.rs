//! Requests of operators to the service API.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use wire::connection_string::ConnectionString;
use wire::sas::SharedAccessKey;

use super::{Answer, HOST, Service};

impl Service {
    /// A request with a connection string, to the host that it names.
    pub async fn by(
        &self,
        connection: &Value,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let connection = ConnectionString::parse(connection.as_str().unwrap()).unwrap();
        let key = SharedAccessKey::try_from(&connection.key).unwrap();
        let host = connection.host.as_str();
        let expiry = self.now().plus(std::time::Duration::from_secs(3600));
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}?api-version=2021-10-01"))
            .header("host", host)
            .header(
                "authorization",
                wire::sas::build(host, Some(&connection.policy), expiry, &key),
            )
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
        self.send(request.unwrap()).await
    }

    /// The owner uploads a file.
    pub async fn send_file(&self, path: &str, file: Vec<u8>) -> Answer {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("https://{HOST}{path}?api-version=2021-10-01"))
            .header("authorization", self.owner())
            .body(Body::from(file));
        self.send(request.unwrap()).await
    }

    /// The owner's request to Muster's own API; its answer's body.
    pub async fn own(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let path = format!("/muster/v1/{path}");
        let answer = self.operate(method, &path, &[], body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        answer.body
    }

    /// The owner's request that is refused; its code and message.
    pub async fn refused(&self, method: Method, path: &str, body: &Value) -> (u64, String) {
        let path = format!("/muster/v1/{path}");
        let answer = self.operate(method, &path, &[], Some(body)).await;
        (answer.error(), answer.message().to_owned())
    }

    /// Creates and links a hub of this server.
    pub async fn linked_hub(&self, name: &str, weight: u16) {
        let host = json!({"hostName": format!("{name}.test")});
        self.own(Method::PUT, &format!("hubs/{name}"), Some(&host))
            .await;
        let link = json!({"allocationWeight": weight});
        self.own(Method::PUT, &format!("dps/linkedHubs/{name}"), Some(&link))
            .await;
    }
}
