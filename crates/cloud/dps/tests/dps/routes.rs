//! Which methods and paths operators have.

use axum::body::Body;
use axum::http::{Method, Request};

use crate::harness::Service;

/// The error of a request without a token: 401 where there is a route.
async fn anonymous(service: &Service, method: Method, path: &str) -> u64 {
    let uri = format!("{path}?api-version=2021-10-01");
    let request = Request::builder().method(method).uri(uri);
    let answer = service.send(request.body(Body::empty()).unwrap()).await;
    answer.error()
}

#[tokio::test]
async fn azures_paths_are_served_in_any_letter_case() {
    let service = Service::start().await;
    for (method, path) in [
        (Method::POST, "/enrollments"),
        (Method::POST, "/Enrollments/Query"),
        (Method::GET, "/enrollments/query"),
        (Method::PUT, "/enrollments/e"),
        (Method::POST, "/enrollments/e/attestationmechanism"),
        (Method::PUT, "/enrollmentgroups/g"),
        (Method::DELETE, "/enrollmentGroups/g"),
        (Method::POST, "/enrollmentGroups/query"),
        (Method::POST, "/enrollmentgroups/g/attestationmechanism"),
        (Method::GET, "/registrations/r"),
        (Method::DELETE, "/registrations/r"),
        (Method::POST, "/registrations/g/query"),
        (Method::GET, "/certificateAuthorities"),
        (Method::POST, "/certificateauthorities/query"),
        (Method::PUT, "/certificateAuthorities/a"),
        (Method::GET, "/trustBundles"),
        (Method::DELETE, "/trustbundles/t"),
    ] {
        let error = anonymous(&service, method.clone(), path).await;
        assert_eq!(error, 401_000, "{method} {path}");
    }
}

#[tokio::test]
async fn musters_own_paths_are_served_in_any_letter_case() {
    let service = Service::start().await;
    for (method, path) in [
        (Method::GET, "/hubs"),
        (Method::PUT, "/HUBS/h"),
        (Method::PUT, "/services/s"),
        (Method::DELETE, "/dps/linkedhubs/h"),
        (Method::PATCH, "/dps/settings"),
        (Method::POST, "/dps/policies/p/RegenerateKey"),
        (Method::GET, "/DPS/certificates"),
        (Method::PUT, "/dps/certificates/fleet"),
        (
            Method::POST,
            "/dps/certificates/Fleet/generateVerificationCode",
        ),
        (Method::POST, "/dps/certificates/fleet/verificationcode"),
        (Method::POST, "/dps/certificates/fleet/Verify"),
        (Method::GET, "/dps/issuers"),
        (Method::PUT, "/dps/issuers/i"),
        (Method::GET, "/dps/allocations"),
        (Method::POST, "/dps/allocations/7/replay"),
        (Method::GET, "/dps/webhookkey"),
        (Method::PUT, "/dps/blocks/r"),
        (Method::DELETE, "/dps/blocks/h/devices/d"),
        (Method::GET, "/dps/refusals"),
        (Method::POST, "/dps/explain"),
        (Method::GET, "/audit"),
    ] {
        let path = format!("/Muster/v1{path}");
        let error = anonymous(&service, method.clone(), &path).await;
        assert_eq!(error, 401_000, "{method} {path}");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_told_apart() {
    let service = Service::start().await;
    for (method, path, expected) in [
        (Method::PATCH, "/enrollments/e", 405_000),
        (Method::GET, "/enrollments", 405_000),
        (Method::GET, "/enrollments/e/attestationmechanism", 405_000),
        (Method::PUT, "/registrations/r", 405_000),
        (Method::POST, "/trustBundles", 405_000),
        (Method::POST, "/muster/v1/hubs", 405_000),
        (Method::PATCH, "/muster/v1/services/s", 405_000),
        (Method::POST, "/muster/v1/dps/settings", 405_000),
        (
            Method::GET,
            "/muster/v1/dps/policies/p/regenerateKey",
            405_000,
        ),
        (Method::DELETE, "/muster/v1/dps/allocations/7", 405_000),
        (Method::PATCH, "/muster/v1/dps/certificates", 405_000),
        (Method::GET, "/enrollments/e/other", 404_000),
        (Method::GET, "/registrations", 404_000),
        (Method::GET, "/muster/v1/dps/policies/p/other", 404_000),
        (Method::GET, "/muster/v1/hubs/h/x", 404_000),
        (Method::GET, "/muster/v1/dps/nothing", 404_000),
        (Method::GET, "/muster/v1/hubs/certificates/x", 404_000),
        (Method::GET, "/nothing", 404_000),
        (Method::GET, "/", 404_000),
    ] {
        let error = anonymous(&service, method.clone(), path).await;
        assert_eq!(error, expected, "{method} {path}");
    }
}

/// A hub may be called as a noun of the other areas.
#[tokio::test]
async fn an_area_of_the_path_is_not_taken_for_another() {
    let service = Service::start().await;
    let answer = service
        .operate(Method::GET, "/muster/v1/hubs/certificates", &[], None)
        .await;
    assert_eq!(answer.error(), 404_210, "{}", answer.body);
}
