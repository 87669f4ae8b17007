use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::target::Target;

/// Configurations that are written by turns.
const CONFIGURATIONS: usize = 4;
/// Writes of one configuration from its creation to its deletion.
const WRITES: u64 = 6;

/// Configurations that are created, changed some times, and deleted.
#[derive(Default)]
pub(super) struct Configurations {
    states: [State; CONFIGURATIONS],
    next: usize,
    acknowledged: usize,
}

/// One configuration, by the number of its last write.
#[derive(Default)]
struct State {
    acknowledged: u64,
    /// The write that is on its way, or the last one.
    attempted: u64,
}

/// What a write leaves: nothing at the end of each cycle and before the first write.
fn after(write: u64) -> Option<u64> {
    (!write.is_multiple_of(WRITES)).then_some(write)
}

impl Configurations {
    pub(super) fn count(&self) -> usize {
        self.acknowledged
    }

    pub(super) async fn write(&mut self, target: &Target) -> Result<()> {
        loop {
            let path = path(self.next);
            let state = &mut self.states[self.next];
            let number = state.acknowledged + 1;
            state.attempted = number;
            let request = match after(number) {
                None => target.request(Method::DELETE, &path),
                Some(_) => {
                    let content = json!({"deviceContent": {
                        "properties.desired.settings": {"cycle": number / WRITES},
                    }});
                    let body = json!({
                        "id": id(self.next),
                        "content": content,
                        "targetCondition": "tags.none = 'none'",
                        "labels": {"number": number.to_string()},
                        "priority": number,
                    });
                    target.request(Method::PUT, &path).json(&body)
                }
            };
            let request = match after(state.acknowledged) {
                Some(_) => request.header("if-match", "*"),
                None => request,
            };
            let Some(_acknowledged) = target.write(request).await? else {
                return Ok(());
            };
            state.acknowledged = number;
            self.acknowledged += 1;
            self.next = (self.next + 1) % CONFIGURATIONS;
        }
    }

    pub(super) async fn check(&mut self, target: &Target) -> Result<()> {
        for (index, state) in self.states.iter_mut().enumerate() {
            let request = target.request(Method::GET, &path(index));
            let (status, _, stored) = target.read(request).await?;
            let is_as_after = |write: u64| match after(write) {
                None => status == 404,
                Some(number) => {
                    status == 200
                        && stored["labels"] == json!({"number": number.to_string()})
                        && stored["priority"] == number
                }
            };
            let State {
                acknowledged,
                attempted,
            } = *state;
            let found = [acknowledged, attempted]
                .into_iter()
                .find(|w| is_as_after(*w));
            let id = id(index);
            ensure!(
                found.is_some(),
                "{id}: write {acknowledged} was acknowledged, {attempted} attempted: \
                 {status} {stored}"
            );
            state.acknowledged = found.unwrap_or_default();
        }
        Ok(())
    }
}

fn id(index: usize) -> String {
    format!("configuration-{index}")
}

fn path(index: usize) -> String {
    format!("/configurations/{}", id(index))
}
