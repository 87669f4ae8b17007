//! What `explain` says is what registering comes to, in any scenario: for every attempt the same
//! decision with the same hub and device, or the same reason.

mod fixture;
mod scenario;

use std::cell::RefCell;
use std::collections::BTreeMap;

use axum::http::Method;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use crate::harness::Service;
use crate::harness::attempt::Attempt;
use fixture::Fixture;
use scenario::{Step, scenarios};

/// How often each decision and reason was met.
type Met = RefCell<BTreeMap<String, usize>>;

#[test]
fn explain_matches_register() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let met = Met::default();
    let mut runner = TestRunner::new(Config {
        cases: 14,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&scenarios(), |scenario| {
        runtime.block_on(async {
            let fixture = Fixture::start(&scenario).await;
            for step in &scenario.steps {
                perform(&fixture, step, &met).await?;
            }
            Ok(())
        })
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    // Scenarios are such that there is something to explain.
    let met = met.into_inner();
    for decision in ["accepted", "refused"] {
        assert!(met.contains_key(decision), "{decision}: {met:?}");
    }
    assert!(met.len() >= 12, "{met:?}");
}

async fn perform(fixture: &Fixture, step: &Step, met: &Met) -> Result<(), TestCaseError> {
    let Step::Attempt(id, presented) = step else {
        fixture.change(step).await;
        return Ok(());
    };
    let (id, attempt) = (
        fixture.spelled(*id, presented),
        fixture.attempt(*id, presented),
    );
    // A refusal that was kept less than ten seconds ago is only counted.
    fixture.service.advance(11);
    let explanation = fixture.service.explain(&id, &attempt).await;
    let registered = outcome(&fixture.service, &id, &attempt).await;
    let explained = comparable(&explanation);
    if explained != registered {
        return Err(TestCaseError::fail(format!(
            "{id} presents {presented:?}\nexplained   {explained}\nregistered  \
             {registered}\n{explanation:#}"
        )));
    }
    one_decides(&explanation)?;
    for name in ["decision", "reason", "substatus"] {
        if let Some(name) = explanation[name].as_str() {
            *met.borrow_mut().entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(())
}

/// The part of an explanation that a registration shows too.
fn comparable(explanation: &Value) -> Value {
    let names: &[&str] = match explanation["decision"].as_str().unwrap() {
        "accepted" => &["decision", "assignedHub", "deviceId", "substatus"],
        "failed" => &["decision", "errorCode", "message"],
        "refused" => &["decision", "errorCode", "reason", "enrollment", "message"],
        _ => &["decision"],
    };
    let of = |name: &&str| ((*name).to_owned(), explanation[*name].clone());
    Value::Object(names.iter().map(of).collect())
}

/// What registering comes to, in the same words.
async fn outcome(service: &Service, id: &str, attempt: &Attempt) -> Value {
    let answer = service.attempt(id, attempt).await;
    if answer.status != 202 {
        let kept = service.refusals(&format!("&registrationId={id}")).await;
        let kept = &kept[0];
        return json!({
            "decision": "refused", "errorCode": answer.error(), "reason": kept["reason"],
            "enrollment": kept["enrollment"], "message": kept["message"],
        });
    }
    let operation = answer.body["operationId"].as_str().unwrap();
    let path = format!("{id}/operations/{operation}");
    let polled = service
        .request(Method::GET, &path, attempt, &Value::Null)
        .await;
    let state = &polled.body["registrationState"];
    match state["status"].as_str().unwrap() {
        "assigned" => json!({
            "decision": "accepted", "assignedHub": state["assignedHub"], "deviceId": state["deviceId"],
            "substatus": state["substatus"],
        }),
        "failed" => json!({
            "decision": "failed", "errorCode": state["errorCode"], "message": state["errorMessage"],
        }),
        _ => json!({"decision": "asks"}),
    }
}

/// When an enrollment decided it is in the list, once as the one that did.
fn one_decides(explanation: &Value) -> Result<(), TestCaseError> {
    let comparisons = explanation["tried"].as_array().unwrap();
    let deciding: Vec<&Value> = comparisons
        .iter()
        .filter(|one| one["decides"] == true)
        .collect();
    let enrollment = &explanation["enrollment"];
    let right = match enrollment {
        Value::Null => deciding.is_empty(),
        _ => deciding.len() == 1 && deciding[0]["enrollment"] == *enrollment,
    };
    if !right {
        return Err(TestCaseError::fail(format!(
            "which one decides?\n{explanation:#}"
        )));
    }
    Ok(())
}
