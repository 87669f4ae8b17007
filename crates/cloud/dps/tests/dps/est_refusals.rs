//! What clients of EST without good credentials learn, and what operators do.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use issuing::password::StoredPassword;
use serde_json::json;

use crate::harness::Service;
use crate::harness::est::{EstAnswer, EstRequest, csr};

async fn attempt(service: &Service, name: &str, user: &str, password: &str) -> EstAnswer {
    let request = EstRequest::post("/simpleenroll", &csr(name));
    service.est(request.by(user, password)).await
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let service = Service::start().await;
    service.issuer("fleet", json!({})).await;
    let made_up = service.issuer_user("fleet", "made-up", None, None).await;
    let chosen = StoredPassword::choose("a chosen password", &[1; 16]).unwrap();
    service
        .issuer_user_with("fleet", "chosen", &chosen, None, None)
        .await;
    // Users belong to one issuer.
    service.issuer("other", json!({})).await;
    let mut answers = Vec::new();
    for (n, (user, password, reason)) in [
        ("made-up", "wrong", "est_password_wrong"),
        ("chosen", "wrong", "est_password_wrong"),
        ("nobody", "wrong", "est_user_unknown"),
        ("no user at all", "wrong", "est_user_unknown"),
        ("", "", "est_user_unknown"),
    ]
    .into_iter()
    .enumerate()
    {
        let (name, before) = (format!("d-{n}"), Instant::now());
        let request = EstRequest::post("/fleet/simpleenroll", &csr(&name)).by(user, password);
        let answer = service.est(request).await;
        // One Argon2 check each: none answers at once.
        assert!(before.elapsed() > Duration::from_millis(5), "{user}");
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(
            answer
                .header("www-authenticate")
                .starts_with("Basic realm=")
        );
        let (found, code, _) = service.last_refusal(&name).await;
        assert_eq!((found.as_str(), code), (reason, 401_000), "{user}");
        answers.push((answer.body, answer.headers["www-authenticate"].clone()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, "unauthorized\n");
    let at_other = EstRequest::post("/other/simpleenroll", &csr("d-9")).by("made-up", &made_up);
    assert_eq!(service.est(at_other).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_credentials_a_client_is_asked_for_them() {
    let service = Service::start().await;
    service.issuer("fleet", json!({})).await;
    let answer = service
        .est(EstRequest::post("/simpleenroll", &csr("press-1")))
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.headers.contains_key("www-authenticate"));
    let (reason, code, message) = service.last_refusal("press-1").await;
    assert_eq!((reason.as_str(), code), ("credential_absent", 401_000));
    assert!(message.ends_with("; EST, issuer fleet"), "{message}");
}

#[tokio::test]
async fn passwords_are_not_guessed_fast_and_the_right_one_still_opens() {
    let service = Service::start().await;
    service.issuer("fleet", json!({})).await;
    let chosen = StoredPassword::choose("a chosen password", &[1; 16]).unwrap();
    service
        .issuer_user_with("fleet", "line-1", &chosen, None, None)
        .await;
    let right = |name: &'static str| attempt(&service, name, "line-1", "a chosen password");
    // It is recognised from now on.
    right("press-1").await.certificate();
    let mut limited = None;
    for _ in 0..20 {
        let answer = attempt(&service, "press-2", "line-1", "wrong").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            limited = Some(answer);
            break;
        }
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let limited = limited.unwrap();
    let wait: i64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    right("press-3").await.certificate();
    service.advance(wait);
    let again = attempt(&service, "press-2", "line-1", "wrong").await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_reset_password_opens_nothing_any_more() {
    let service = Service::start().await;
    service.issuer("fleet", json!({})).await;
    let before = service.issuer_user("fleet", "line-1", Some(5), None).await;
    attempt(&service, "press-1", "line-1", &before)
        .await
        .certificate();
    let (after, stored) = StoredPassword::make_up(&[9; 32]);
    let reset = provisioning::IssuerUserReset {
        name: "line-1".parse().unwrap(),
        password: provisioning::Secret::new(stored.as_text().to_owned()),
        uses: None,
        expires: None,
    };
    let issuer = "fleet".parse().unwrap();
    service
        .provisioning
        .reset_issuer_user(&issuer, reset, service.now())
        .await
        .unwrap();
    let old = attempt(&service, "press-2", "line-1", &before).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    attempt(&service, "press-2", "line-1", &after)
        .await
        .certificate();
}
