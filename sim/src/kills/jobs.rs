use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::target::Target;
use crate::until;

/// Jobs on one device: twin updates, and direct methods, which it does not answer because it is
/// not connected.
#[derive(Default)]
pub(super) struct Jobs {
    created: Vec<usize>,
    /// How many of them are checked.
    checked: usize,
    attempts: usize,
}

impl Jobs {
    pub(super) fn count(&self) -> usize {
        self.created.len()
    }

    pub(super) async fn write(&mut self, target: &Target) -> Result<()> {
        loop {
            self.attempts += 1;
            let path = format!("/jobs/v2/{}", id(self.attempts));
            let request = target.request(Method::PUT, &path);
            let request = request.json(&document(self.attempts));
            let Some(_acknowledged) = target.write(request).await? else {
                return Ok(());
            };
            self.created.push(self.attempts);
        }
    }

    /// Each job is as it was created, and ends with an outcome for its device.
    pub(super) async fn check(&mut self, target: &Target) -> Result<()> {
        for number in &self.created[self.checked..] {
            let path = format!("/jobs/v2/{}", id(*number));
            let job = until(&path, Duration::from_secs(30), || async {
                let job = target.get(&path).await?;
                ensure!(job["status"] == "completed", "{job}");
                Ok(job)
            });
            let job = job.await?;
            for (member, sent) in document(*number).as_object().context("no object")? {
                ensure!(&job[member] == sent, "{member} was {sent}: {job}");
            }
            let outcome = match is_method(*number) {
                true => "failedCount",
                false => "succeededCount",
            };
            let counts = &job["deviceJobStatistics"];
            ensure!(counts["deviceCount"] == 1 && counts[outcome] == 1, "{job}");
        }
        self.checked = self.created.len();
        Ok(())
    }

    /// Looks for all of them in the list; how many there are.
    pub(super) async fn check_all(&self, target: &Target) -> Result<usize> {
        let mut found: HashSet<String> = HashSet::new();
        let mut continuation = None;
        loop {
            let mut request = target.request(Method::GET, "/jobs/v2/query");
            request = request.header(wire::http::MAX_ITEM_COUNT, "1000");
            if let Some(continuation) = continuation.take() {
                request = request.header(wire::http::CONTINUATION, continuation);
            }
            let (status, mut headers, page) = target.read(request).await?;
            ensure!(status == 200, "{status} {page}");
            let jobs = page.as_array().context("no page")?.iter();
            found.extend(jobs.filter_map(|job| Some(job["jobId"].as_str()?.to_owned())));
            continuation = headers.remove(wire::http::CONTINUATION);
            if continuation.is_none() {
                break;
            }
        }
        let lost = self.created.iter().map(|number| id(*number));
        let lost: Vec<String> = lost.filter(|id| !found.contains(id)).collect();
        ensure!(lost.is_empty(), "acknowledged, and lost: {lost:?}");
        Ok(found.len())
    }
}

fn id(number: usize) -> String {
    format!("job-{number}")
}

fn is_method(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn document(number: usize) -> Value {
    let condition = "deviceId = 'worked-on'";
    match is_method(number) {
        true => json!({
            "type": "scheduleDeviceMethod",
            "queryCondition": condition,
            "cloudToDeviceMethod": {"methodName": "ping", "payload": {"number": number}},
        }),
        false => json!({
            "type": "scheduleUpdateTwin",
            "queryCondition": condition,
            "updateTwin": {"tags": {"number": number}},
        }),
    }
}
