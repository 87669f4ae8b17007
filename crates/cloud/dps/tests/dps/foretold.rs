//! What `explain` says is what a registration through the doors comes to, in any world: for every attempt the same verdict with the
//! same hub and device, or the same reason.

mod built;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use axum::http::Method;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use crate::harness::Service;
use crate::reasons::Attempt;
use built::Built;
use world::{Step, worlds};

/// How often each verdict and reason was met.
type Met = RefCell<BTreeMap<String, usize>>;

#[test]
fn explain_says_what_registering_comes_to() {
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
    let judged = runner.run(&worlds(), |world| {
        runtime.block_on(async {
            let built = Built::of(&world).await;
            for step in &world.steps {
                take(&built, step, &met).await?;
            }
            Ok(())
        })
    });
    assert!(judged.is_ok(), "{}", judged.unwrap_err());
    // The worlds are such that there is something to foretell.
    let met = met.into_inner();
    for verdict in ["accepted", "refused"] {
        assert!(met.contains_key(verdict), "{verdict}: {met:?}");
    }
    assert!(met.len() >= 12, "{met:?}");
}

async fn take(built: &Built, step: &Step, met: &Met) -> Result<(), TestCaseError> {
    let Step::Attempt(id, shown) = step else {
        built.change(step).await;
        return Ok(());
    };
    let (id, attempt) = (built.spelled(*id, shown), built.attempt(*id, shown));
    // A refusal that was kept less than ten seconds ago is only counted.
    built.service.advance(11);
    let told = built.service.explain(&id, &attempt).await;
    let came = outcome(&built.service, &id, &attempt).await;
    let foretold = foretold(&told);
    if foretold != came {
        return Err(TestCaseError::fail(format!(
            "{id} shows {shown:?}\nfirst  {foretold}\nthen   {came}\n{told:#}"
        )));
    }
    one_decides(&told)?;
    for name in ["verdict", "reason", "substatus"] {
        if let Some(name) = told[name].as_str() {
            *met.borrow_mut().entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(())
}

/// The part of an explanation that a registration shows too.
fn foretold(told: &Value) -> Value {
    let names: &[&str] = match told["verdict"].as_str().unwrap() {
        "accepted" => &["verdict", "assignedHub", "deviceId", "substatus"],
        "failed" => &["verdict", "errorCode", "message"],
        "refused" => &["verdict", "errorCode", "reason", "enrollment", "message"],
        _ => &["verdict"],
    };
    let of = |name: &&str| ((*name).to_owned(), told[*name].clone());
    Value::Object(names.iter().map(of).collect())
}

/// What registering comes to, in the same words.
async fn outcome(service: &Service, id: &str, attempt: &Attempt) -> Value {
    let answer = service.attempt(id, attempt).await;
    if answer.status != 202 {
        let kept = service.refusals(&format!("&registrationId={id}")).await;
        let kept = &kept[0];
        return json!({
            "verdict": "refused", "errorCode": answer.error(), "reason": kept["reason"],
            "enrollment": kept["enrollment"], "message": kept["message"],
        });
    }
    let operation = answer.body["operationId"].as_str().unwrap();
    let path = format!("{id}/operations/{operation}");
    let polled = service
        .showing(Method::GET, &path, attempt, &Value::Null)
        .await;
    let state = &polled.body["registrationState"];
    match state["status"].as_str().unwrap() {
        "assigned" => json!({
            "verdict": "accepted", "assignedHub": state["assignedHub"], "deviceId": state["deviceId"],
            "substatus": state["substatus"],
        }),
        "failed" => json!({
            "verdict": "failed", "errorCode": state["errorCode"], "message": state["errorMessage"],
        }),
        _ => json!({"verdict": "asks"}),
    }
}

/// When an enrollment decided it is in the list, once as the one that did.
fn one_decides(told: &Value) -> Result<(), TestCaseError> {
    let tried = told["tried"].as_array().unwrap();
    let deciding: Vec<&Value> = tried.iter().filter(|one| one["decides"] == true).collect();
    let enrollment = &told["enrollment"];
    let right = match enrollment {
        Value::Null => deciding.is_empty(),
        _ => deciding.len() == 1 && deciding[0]["enrollment"] == *enrollment,
    };
    if !right {
        return Err(TestCaseError::fail(format!("who decides?\n{told:#}")));
    }
    Ok(())
}
