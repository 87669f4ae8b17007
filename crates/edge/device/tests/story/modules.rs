use device::{Credential, ModuleError, ModuleIdentities};
use ids::{DeviceId, ModuleId};
use serde_json::json;
use wire::service_api::device_view::DeviceModuleRequest;
use wire::service_api::identity::KeyText;

use crate::server::{HttpsServer, Scripted, TestCa};

fn module() -> Scripted {
    let key = json!({"primaryKey": "a2V5", "secondaryKey": "a2V5"});
    let body = json!({
        "moduleId": "m1",
        "deviceId": "d1",
        "generationId": "638",
        "managedBy": "IotEdge",
        "authentication": {"type": "sas", "symmetricKey": key},
    });
    (200, &[], body.to_string())
}

/// The answers to get, create, set keys, list and delete.
fn one_life_of_a_module() -> Vec<Scripted> {
    let missing = json!({"Message": "ErrorCode:ModuleNotFound;No module m1."}).to_string();
    let listed = format!("[{}]", module().2);
    vec![
        (404, &[], missing),
        module(),
        module(),
        (200, &[], listed),
        (204, &[], String::new()),
    ]
}

#[tokio::test]
async fn a_device_manages_its_modules() {
    let ca = TestCa::new();
    let server = HttpsServer::start(&ca, one_life_of_a_module()).await;
    let device = DeviceId::parse("d1").unwrap();
    let m1 = ModuleId::parse("m1").unwrap();
    let credential = Credential::Token("SharedAccessSignature sr=x&sig=y&se=1".into());
    let modules = ModuleIdentities::new(
        server.host.clone(),
        device.clone(),
        &ca.trust(),
        &credential,
    );

    assert_eq!(modules.get(&m1).await.unwrap(), None);
    let mut request = DeviceModuleRequest {
        module: m1.clone(),
        device,
        managed_by: Some("IotEdge".into()),
        keys: None,
    };
    let created = modules.put(&request, false).await.unwrap();
    assert_eq!(created.generation_id.as_str(), "638");
    let key = KeyText::from_bytes(&[1; 32]).unwrap();
    request.keys = Some((key.clone(), key));
    modules.put(&request, true).await.unwrap();
    assert_eq!(modules.list().await.unwrap(), [created]);
    modules.delete(&m1).await.unwrap();

    let seen = server.seen();
    let version = "?api-version=2017-11-08-preview";
    let lines: Vec<String> = seen.iter().map(|s| s.line.replace(version, "")).collect();
    let one = "/devices/d1/modules/m1";
    assert_eq!(
        lines,
        [
            format!("GET {one}"),
            format!("PUT {one}"),
            format!("PUT {one}"),
            "GET /devices/d1/modules".into(),
            format!("DELETE {one}")
        ]
    );
    let if_match: Vec<Option<&str>> = seen.iter().map(|s| s.if_match.as_deref()).collect();
    assert_eq!(if_match, [None, None, Some("*"), None, Some("*")]);
    assert!(
        seen.iter()
            .all(|s| s.authorization.as_deref() == Some("SharedAccessSignature sr=x&sig=y&se=1"))
    );
}

#[tokio::test]
async fn a_refusal_has_status_code_and_message() {
    let ca = TestCa::new();
    let body = json!({"Message": "ErrorCode:IotHubUnauthorizedAccess;Unauthorized"}).to_string();
    let server = HttpsServer::start(&ca, vec![(401, &[], body)]).await;
    let credential = Credential::Certificate(ca.identity("d1"));
    let device = DeviceId::parse("d1").unwrap();
    let modules = ModuleIdentities::new(server.host.clone(), device, &ca.trust(), &credential);
    let error = modules.list().await.unwrap_err();
    let ModuleError::Refused {
        status: 401,
        code: Some(401_002),
        message,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(message, "Unauthorized");
}
