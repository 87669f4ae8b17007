use std::convert::Infallible;

use bytes::Bytes;
use device::{Workload, WorkloadError, token};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ids::{DeviceId, GenerationId, ModuleId, Timestamp};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use wire::sas::SharedAccessKey;

use crate::server::TestCa;

/// Speaks the workload API for module `m` with the key 0123456789abcdef, and refuses others.
fn serve(listener: UnixListener, pem: String) {
    let answer = move |target: String, body: Bytes| match target.as_str() {
        "/modules/m/genid/g/sign?api-version=2022-08-03" => {
            let request: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&request["keyId"], &request["algo"]),
                (&json!("primary"), &json!("HMACSHA256"))
            );
            let data = SharedAccessKey::from_base64(request["data"].as_str().unwrap());
            let digest = key().sign(&base64_bytes(&data.unwrap()));
            let digest = SharedAccessKey::from_bytes(digest.to_vec())
                .unwrap()
                .to_base64();
            (200, json!({ "digest": *digest }).to_string())
        }
        "/trust-bundle?api-version=2022-08-03" => (200, json!({ "certificate": pem }).to_string()),
        _ => (403, json!({"message": "not your module"}).to_string()),
    };
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let answer = answer.clone();
                async move {
                    let target = request.uri().to_string();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let (status, body) = answer(target, body);
                    let response = Response::builder()
                        .status(status)
                        .body(Full::new(Bytes::from(body)));
                    Ok::<_, Infallible>(response.unwrap())
                }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
}

fn key() -> SharedAccessKey {
    SharedAccessKey::from_bytes(b"0123456789abcdef".to_vec()).unwrap()
}

/// The bytes that a key's base64 stands for; a key is the base64 reader at hand.
fn base64_bytes(key: &SharedAccessKey) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(key.to_base64().as_str())
        .unwrap()
}

fn workload(path: &std::path::Path, module: &str) -> Workload {
    let uri = format!("unix://{}", path.display());
    let (module, generation) = (
        ModuleId::parse(module).unwrap(),
        GenerationId::parse("g").unwrap(),
    );
    Workload::new(&uri, "2022-08-03", module, generation).unwrap()
}

#[tokio::test]
async fn the_daemon_signs_what_the_key_would() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("workload.sock");
    let ca = TestCa::new();
    serve(UnixListener::bind(&path).unwrap(), ca.pem());

    let (device, module) = (DeviceId::parse("d").unwrap(), ModuleId::parse("m").unwrap());
    let expiry = Timestamp::from_unix_seconds(1_700_000_000);
    let by_socket = token(&workload(&path, "m"), "hub", &device, Some(&module), expiry)
        .await
        .unwrap();
    let by_key = token(&key(), "hub", &device, Some(&module), expiry)
        .await
        .unwrap();
    assert_eq!(by_socket, by_key);
    assert!(by_key.contains("sr=hub%2Fdevices%2Fd%2Fmodules%2Fm&"));

    let roots = workload(&path, "m").trust_bundle().await.unwrap();
    assert_eq!(
        roots[0].to_pem(),
        pki::Certificate::parse_pem_bundle(&ca.pem()).unwrap()[0].to_pem()
    );

    let error = token(&workload(&path, "other"), "hub", &device, None, expiry)
        .await
        .unwrap_err();
    let device::SignError::Workload(WorkloadError::Refused {
        status: 403,
        message,
    }) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(message, "not your module");
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let error = workload(std::path::Path::new("/nowhere/w.sock"), "m")
        .trust_bundle()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/w.sock"), "{error}");
}
