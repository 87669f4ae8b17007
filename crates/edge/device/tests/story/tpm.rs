//! A TPM that is made up here proves the device.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use device::{
    Attestation, ProvisionError, Provisioning, TokenSource, Tpm, TpmFault, TpmFaultKind, TpmKey,
    TpmPublicKeys, TpmSigner, provision,
};
use ids::{DeviceId, HubHost, IdScope, RegistrationId, Timestamp};
use serde_json::{Value, json};

use crate::server::{HttpsServer, Scripted, TestCa};

/// Keeps every blob as it is, and signs with its length.
#[derive(Debug, Default)]
struct MadeUp {
    signed: Mutex<Vec<String>>,
    is_gone: bool,
}

impl Tpm for MadeUp {
    fn public_keys(&self) -> Result<TpmPublicKeys, TpmFault> {
        match self.is_gone {
            false => Ok(TpmPublicKeys {
                endorsement: b"ek".to_vec(),
                storage_root: b"srk".to_vec(),
            }),
            true => Err(TpmFault {
                kind: TpmFaultKind::Transient,
                message: "the TPM at device:/dev/tpmrm0 cannot be reached".to_owned(),
            }),
        }
    }

    fn import(&self, blob: &[u8]) -> Result<TpmKey, TpmFault> {
        Ok(TpmKey::new(blob.to_vec()))
    }

    fn sign(&self, key: &TpmKey, data: &[u8]) -> Result<[u8; 32], TpmFault> {
        let text = String::from_utf8(data.to_vec()).unwrap();
        self.signed.lock().unwrap().push(text);
        Ok([u8::try_from(key.as_bytes().len()).unwrap(); 32])
    }
}

fn challenge() -> Scripted {
    let body = json!({
        "errorCode": 401_002, "trackingId": "t", "message": "Unauthorized",
        "timestampUtc": "2024-01-01T00:00:00Z",
        "authenticationKey": STANDARD.encode(b"challenge"), "keyName": "registration",
    });
    (401, &[], body.to_string())
}

fn assigned(tpm: &Value) -> Scripted {
    let body = json!({
        "operationId": "5.op.1", "status": "assigned",
        "registrationState": {
            "registrationId": "Edge-1", "assignedHub": "hub.example", "deviceId": "Edge-1",
            "status": "assigned", "tpm": tpm,
        },
    });
    (200, &[], body.to_string())
}

async fn run(
    script: Vec<Scripted>,
    tpm: &Arc<MadeUp>,
) -> (Result<TpmKey, ProvisionError>, HttpsServer) {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, script).await;
    let how = Provisioning {
        endpoint: server.host.clone(),
        id_scope: IdScope::parse("0ne000A1B2C").unwrap(),
        registration_id: RegistrationId::parse("Edge-1").unwrap(),
        payload: None,
        attestation: Attestation::Tpm {
            tpm: tpm.clone(),
            token_expiry: Timestamp::from_unix_seconds(4_102_444_800),
        },
        trust: ca.trust(),
        request: None,
        within: Duration::from_secs(30),
    };
    let assigned = provision(&how).await;
    (
        assigned.map(|assignment| assignment.tpm_key.unwrap()),
        server,
    )
}

#[tokio::test]
async fn a_tpm_answers_the_challenge_and_keeps_the_key_for_the_hub() {
    let tpm = Arc::new(MadeUp::default());
    let hub_key = json!({"authenticationKey": STANDARD.encode(b"for the hub")});
    let (key, server) = run(vec![challenge(), assigned(&hub_key)], &tpm).await;
    let key = key.unwrap();
    assert_eq!(key.as_bytes(), b"for the hub");
    assert_eq!(
        *tpm.signed.lock().unwrap(),
        ["0ne000a1b2c%2Fregistrations%2Fedge-1\n4102444800"]
    );
    let seen = server.seen();
    let sent = |index: usize| serde_json::from_str::<Value>(&seen[index].body).unwrap();
    assert_eq!(seen.len(), 2);
    let keys = json!({"endorsementKey": "ZWs=", "storageRootKey": "c3Jr"});
    assert_eq!((&sent(0)["tpm"], &sent(1)["tpm"]), (&keys, &keys));
    assert_eq!(seen[0].authorization, None);
    let signature = STANDARD.encode([9; 32]).replace('=', "%3D");
    let wanted = format!(
        "SharedAccessSignature sr=0ne000a1b2c%2Fregistrations%2Fedge-1&sig={signature}\
         &se=4102444800&skn=registration"
    );
    assert_eq!(seen[1].authorization.as_deref(), Some(&*wanted));

    let signer = Arc::new(TpmSigner {
        tpm: tpm.clone(),
        key,
    });
    let hub = HubHost::parse("hub.example").unwrap();
    let device = DeviceId::parse("Edge-1").unwrap();
    let clock = Arc::new(|| Timestamp::from_unix_seconds(7));
    let tokens = TokenSource::for_hub(&hub, &device, signer, clock);
    let token = tokens.token().await.unwrap();
    assert!(token.contains("&se=3607"), "{token}");
}

#[tokio::test]
async fn what_the_service_leaves_out_is_named() {
    let tpm = Arc::new(MadeUp::default());
    let (no_key, _) = run(vec![challenge(), assigned(&Value::Null)], &tpm).await;
    let no_key = no_key.unwrap_err().to_string();
    assert!(no_key.contains("no key for the TPM"), "{no_key}");
    let refused = json!({
        "errorCode": 401_002, "trackingId": "t", "message": "no such enrollment",
        "timestampUtc": "2024-01-01T00:00:00Z",
    });
    let (refused, _) = run(vec![(401, &[], refused.to_string())], &tpm).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("no such enrollment"), "{refused}");
    let accepted = assigned(&Value::Null);
    let (unasked, _) = run(vec![accepted], &tpm).await;
    let unasked = unasked.unwrap_err().to_string();
    assert!(unasked.contains("challenged first"), "{unasked}");
}

#[tokio::test]
async fn a_tpm_that_cannot_be_reached_is_tried_again_later() {
    let tpm = Arc::new(MadeUp {
        is_gone: true,
        ..MadeUp::default()
    });
    let (gone, server) = run(Vec::new(), &tpm).await;
    let gone = gone.unwrap_err();
    assert!(gone.is_transient(), "{gone:?}");
    assert_eq!(server.seen().len(), 0);
}
