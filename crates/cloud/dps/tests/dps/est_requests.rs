//! Every part of a request to EST, broken once.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::harness::Service;
use crate::harness::est::{EstRequest, csr};

/// A service with an issuer, and the password of its user.
async fn service() -> (Service, String) {
    let service = Service::start().await;
    service
        .issuer("fleet", json!({"keyTypes": ["P-256"]}))
        .await;
    let password = service.issuer_user("fleet", "line-1", None, None).await;
    (service, password)
}

fn enroll(body: Vec<u8>) -> EstRequest {
    EstRequest {
        body,
        ..EstRequest::post("/simpleenroll", &[])
    }
}

#[tokio::test]
async fn methods_and_paths() {
    let (service, _) = service().await;
    for (method, path, status) in [
        (Method::POST, "/cacerts", 405),
        (Method::HEAD, "/cacerts", 405),
        (Method::GET, "/simpleenroll", 405),
        (Method::PUT, "/simplereenroll", 405),
        (Method::DELETE, "/csrattrs", 405),
        (Method::POST, "/fullcmc", 404),
        (Method::GET, "", 404),
        (Method::GET, "/fleet", 404),
        (Method::GET, "/fleet/x/cacerts", 404),
        (Method::GET, "/no%20name/cacerts", 404),
    ] {
        let request = EstRequest {
            method: method.clone(),
            ..EstRequest::get(path)
        };
        let answer = service.est(request).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path}: {}",
            answer.body
        );
        let allow = answer
            .headers
            .get("allow")
            .map(|value| value.to_str().unwrap());
        assert_eq!(allow.is_some(), status == 405, "{path}");
    }
}

#[tokio::test]
async fn media_types() {
    let (service, password) = service().await;
    for (content_type, status) in [
        (Some("application/pkcs10"), 200),
        (Some("APPLICATION/PKCS10; charset=utf-8"), 200),
        (None, 415),
        (Some(""), 415),
        (Some("application/json"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("application/pkcs10x"), 415),
    ] {
        let request = EstRequest {
            content_type,
            ..EstRequest::post("/simpleenroll", &csr("press-1"))
        };
        let answer = service.est(request.by("line-1", &password)).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{content_type:?}: {}",
            answer.body
        );
    }
}

fn pem_of(der: &[u8]) -> String {
    let text = wire::est::encode(der).replace("\r\n", "\n");
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n")
}

#[tokio::test]
async fn bodies_in_all_forms() {
    let (service, password) = service().await;
    let der = csr("press-1");
    let base64 = wire::est::encode(&der).replace("\r\n", "");
    for body in [
        base64.clone().into_bytes(),
        format!("{base64}\n").into_bytes(),
        base64.trim_end_matches('=').to_owned().into_bytes(),
        wire::est::encode(&der).into_bytes(),
        der.clone(),
        pem_of(&der).into_bytes(),
    ] {
        let request = enroll(body).by("line-1", &password);
        service.est(request).await.certificate();
    }
}

#[tokio::test]
async fn broken_bodies() {
    let (service, password) = service().await;
    let der = csr("press-1");
    let base64 = wire::est::encode(&der).replace("\r\n", "");
    let certificate = pem_of(&der).replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let (mut cut, mut altered) = (der.clone(), der.clone());
    cut.truncate(der.len() / 2);
    *altered.last_mut().unwrap() ^= 1;
    let with_tail = [der.as_slice(), b"\x00"].concat();
    for (body, status, reason) in [
        (Vec::new(), 400, "est_body_unreadable"),
        (b" \r\n".to_vec(), 400, "est_body_unreadable"),
        (b"***".to_vec(), 400, "est_body_unreadable"),
        (
            base64.replacen('M', "!", 1).into_bytes(),
            400,
            "est_body_unreadable",
        ),
        (b"\xff\xfe\xfd".to_vec(), 400, "est_body_unreadable"),
        (b"aGVsbG8=".to_vec(), 400, "csr_unparsable"),
        (cut, 400, "csr_unparsable"),
        (with_tail, 400, "csr_unparsable"),
        (certificate.into_bytes(), 400, "csr_unparsable"),
        (altered, 400, "csr_signature_bad"),
        (vec![b'A'; 17 * 1024], 413, ""),
    ] {
        let start: String = body.iter().take(20).map(|byte| char::from(*byte)).collect();
        let request = enroll(body).by("line-1", &password);
        let answer = service.est(request).await;
        assert_eq!(answer.status.as_u16(), status, "{start:?}: {}", answer.body);
        // Without a name in the request it is found under the user's.
        let mut found = vec![String::new()];
        for id in ["press-1", "line-1"] {
            found.push(service.last_refusal(id).await.0);
        }
        assert!(
            found.iter().any(|one| one == reason),
            "{start:?}: {found:?}"
        );
    }
}

#[tokio::test]
async fn authorization_headers() {
    let (service, password) = service().await;
    let good = EstRequest::post("/simpleenroll", &csr("press-1")).by("line-1", &password);
    let basic = good.authorization.clone().unwrap();
    let text = basic.trim_start_matches("Basic ");
    for (header, status) in [
        (basic.clone(), 200),
        (format!("basic {text}"), 200),
        (format!("BASIC   {text} "), 200),
        (format!("Bearer {text}"), 401),
        ("Basic".to_owned(), 401),
        ("Basic ***".to_owned(), 401),
        ("Basic bGluZS0x".to_owned(), 401),
        (format!("Basic {}", "A".repeat(4000)), 401),
        (String::new(), 401),
    ] {
        let request = EstRequest {
            authorization: Some(header.clone()),
            ..EstRequest::post("/simpleenroll", &csr("press-1"))
        };
        let answer = service.est(request).await;
        assert_eq!(answer.status.as_u16(), status, "{header}: {}", answer.body);
    }
    let (reason, _, message) = service.last_refusal("press-1").await;
    assert_eq!(reason, "est_credentials_unreadable", "{message}");
    assert!(!message.contains(text));
}

#[tokio::test]
async fn names_and_keys() {
    let (service, password) = service().await;
    let long = "x".repeat(65);
    for (name, reason) in [
        ("", "csr_common_name_absent"),
        ("two words", "csr_common_name_bad"),
        (long.as_str(), "csr_common_name_bad"),
    ] {
        let der = match name {
            "" => {
                let mut params = rcgen::CertificateParams::default();
                params.distinguished_name = rcgen::DistinguishedName::new();
                let key = rcgen::KeyPair::generate().unwrap();
                params.serialize_request(&key).unwrap().der().to_vec()
            }
            name => csr(name),
        };
        let request = EstRequest::post("/simpleenroll", &der).by("line-1", &password);
        let answer = service.est(request).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{name}: {}",
            answer.body
        );
        assert!(
            answer
                .body
                .starts_with("the certificate request is refused: ")
        );
        let id = match name {
            "" => "line-1".to_owned(),
            name => name.replace(' ', "-").chars().take(64).collect(),
        };
        assert_eq!(service.last_refusal(&id).await.0, reason, "{name}");
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "press-1");
    let der = params.serialize_request(&key).unwrap().der().to_vec();
    let request = EstRequest::post("/simpleenroll", &der).by("line-1", &password);
    assert_eq!(service.est(request).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        service.last_refusal("press-1").await.0,
        "csr_key_type_forbidden"
    );
}
