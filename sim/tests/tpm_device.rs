//! A device with a TPM provisions as the device daemons do, and as the Node SDK does, and speaks to
//! its hub with tokens signed inside the TPM.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sim::{Language, Script, Server, Tpm, TpmKeys};

/// Seconds since 1970 that every token of these stories is good until: in the year 2100.
const EXPIRY: &str = "4102444800";

/// A device, its TPM, and the server that it knows.
struct Device<'a> {
    server: &'a Server,
    tpm: &'a Tpm,
    id: &'a str,
    id_scope: String,
    client: reqwest::Client,
}

impl<'a> Device<'a> {
    fn new(server: &'a Server, tpm: &'a Tpm, id: &'a str) -> Result<Self> {
        Ok(Self {
            id_scope: server.id_scope()?,
            client: server.client()?,
            server,
            tpm,
            id,
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<(u16, Value)> {
        let url = format!("https://{}{path}", self.server.host());
        let mut request = self.client.request(method, url).json(body);
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    async fn register(&self, token: Option<&str>, body: &Value) -> Result<(u16, Value)> {
        let path = wire::device_api::registration::register_path(&self.id_scope, self.id);
        let path = format!("{path}?api-version=2021-06-01");
        self.ask(Method::PUT, &path, token, body).await
    }

    /// The daemons' token for DPS: the resource in lower case, slashes as they are.
    fn registration_token(&self) -> Result<String> {
        let resource = format!("{}/registrations/{}", self.id_scope, self.id).to_lowercase();
        Ok(self.token(&resource)? + "&skn=registration")
    }

    fn token(&self, resource: &str) -> Result<String> {
        let tag = self.tpm.sign(format!("{resource}\n{EXPIRY}").as_bytes())?;
        let signature = STANDARD.encode(tag).replace('+', "%2B").replace('=', "%3D");
        Ok(format!(
            "SharedAccessSignature sr={resource}&sig={signature}&se={EXPIRY}"
        ))
    }

    /// The first request, which proves nothing: the blob of its answer.
    async fn challenge(&self, endorsement: &[u8], storage_root: &[u8]) -> Result<Vec<u8>> {
        let body = json!({"registrationId": self.id, "tpm": {
            "endorsementKey": STANDARD.encode(endorsement),
            "storageRootKey": STANDARD.encode(storage_root),
        }});
        let (status, answer) = self.register(None, &body).await?;
        ensure!(status == 401, "{status}: {answer}");
        assert_eq!(answer["keyName"], "registration");
        blob(&answer["authenticationKey"])
    }

    /// The first question to the hub, with a token that the TPM signs now.
    async fn modules(&self) -> Result<(u16, Value)> {
        let token = self.token(&format!("{}/devices/{}", self.server.host(), self.id))?;
        let path = format!(
            "/devices/{}/modules?api-version=2017-11-08-preview",
            self.id
        );
        self.ask(Method::GET, &path, Some(&token), &json!({})).await
    }

    async fn poll(&self, operation: &Value, token: &str) -> Result<Value> {
        let operation = operation.as_str().context("no operationId")?;
        let path =
            wire::device_api::registration::operation_path(&self.id_scope, self.id, operation);
        let path = format!("{path}?api-version=2021-06-01");
        let (status, answer) = self
            .ask(Method::GET, &path, Some(token), &json!({}))
            .await?;
        ensure!(status == 200, "{status}: {answer}");
        Ok(answer["registrationState"].clone())
    }
}

fn blob(text: &Value) -> Result<Vec<u8>> {
    let text = text.as_str().context("no authenticationKey")?;
    Ok(STANDARD.decode(text)?)
}

async fn enroll(server: &Server, id: &str, endorsement: &[u8], flags: &str) -> Result<()> {
    let key = STANDARD.encode(endorsement);
    let create = format!("dps enrollment create --enrollment-id {id} --attestation-type tpm");
    let create = format!("{create} --endorsement-key {key} {flags}");
    server.muster(&create).await.map(drop)
}

/// From the first request to a message at the hub, with nothing but what a device daemon does.
async fn journey(keys: TpmKeys, id: &str) -> Result<()> {
    let server = Server::start().await?;
    let tpm = Tpm::start().await?;
    let (endorsement, storage_root) = tpm.make_keys(keys)?;
    enroll(&server, id, &endorsement, "--edge-enabled true").await?;
    let device = Device::new(&server, &tpm, id)?;

    tpm.import(&device.challenge(&endorsement, &storage_root).await?)?;
    let token = device.registration_token()?;
    let body = json!({"registrationId": id});
    let (status, answer) = device.register(Some(&token), &body).await?;
    assert_eq!(status, 202, "{answer}");
    let state = device.poll(&answer["operationId"], &token).await?;
    assert_eq!(state["status"], "assigned", "{state}");
    assert_eq!(state["deviceId"], id);
    assert_eq!(state["assignedHub"], server.host());

    // The key of the challenge opens DPS and nothing else.
    let early = device.modules().await?;
    assert_eq!(early.0, 401, "{}", early.1);
    tpm.import(&blob(&state["tpm"]["authenticationKey"])?)?;
    // The key of the challenge has gone, and with it every way to sign a token for DPS.
    let (status, _) = device
        .register(Some(&device.registration_token()?), &body)
        .await?;
    assert_eq!(status, 401);
    let (status, modules) = device.modules().await?;
    assert_eq!(status, 200, "{modules}");
    assert_eq!(modules.as_array().map(Vec::len), Some(2), "{modules}");
    Ok(())
}

#[tokio::test]
async fn tpm_with_rsa_keys_is_attested_and_signs_for_the_hub() -> Result<()> {
    journey(TpmKeys::Rsa, "tpm-rsa").await
}

#[tokio::test]
async fn tpm_with_p256_keys_is_attested_and_signs_for_the_hub() -> Result<()> {
    journey(TpmKeys::Ecc, "tpm-ecc").await
}

#[tokio::test]
async fn tpm_of_the_node_sdk_is_attested_and_signs_for_the_hub() -> Result<()> {
    let server = Server::start().await?;
    let tpm = Tpm::start().await?;
    // Where the SDK looks for keys before it makes its own.
    let (endorsement, _) = tpm.make_keys(TpmKeys::Rsa)?;
    enroll(&server, "tpm-node", &endorsement, "").await?;
    let settings = json!({
        "host": server.host(),
        "idScope": server.id_scope()?,
        "serverCa": server.ca()?,
        "registrationId": "tpm-node",
        "tpmHost": tpm.address().ip(),
        "tpmPort": tpm.address().port(),
    });
    let mut script = Script::start(Language::Node, "tpm", &server, &settings)?;
    let done = script.next_line()?;
    assert_eq!(done["event"], "done", "{done}");
    assert_eq!(done["deviceId"], "tpm-node");
    assert_eq!(done["assignedHub"], server.host());

    let twin = server.twin("tpm-node").await?;
    assert_eq!(twin["properties"]["reported"]["firmware"], "1.2.3");
    let identity = server
        .muster("hub device-identity show -d tpm-node")
        .await?;
    assert_eq!(identity["authentication"]["type"], "sas");
    Ok(())
}
