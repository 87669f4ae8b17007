use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use reqwest::Method;

use super::target::Target;

/// Cloud-to-device messages that are sent to each device.
const MESSAGES: usize = 8;

/// New devices, and messages to each of them.
pub(super) struct Devices {
    name: &'static str,
    created: Vec<Created>,
    /// How many of them are checked.
    checked: usize,
    attempts: usize,
}

struct Created {
    id: String,
    /// Messages that were acknowledged.
    sent: usize,
    /// Messages that are in its queue.
    stored: usize,
}

impl Devices {
    pub(super) fn named(name: &'static str) -> Self {
        Self {
            name,
            created: Vec::new(),
            checked: 0,
            attempts: 0,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.created.len()
    }

    pub(super) fn messages(&self) -> usize {
        self.created.iter().map(|device| device.sent).sum()
    }

    pub(super) async fn write(&mut self, target: &Target) -> Result<()> {
        loop {
            self.attempts += 1;
            let id = format!("{}-{}", self.name, self.attempts);
            let Some(_acknowledged) = target.create_device(&id).await? else {
                return Ok(());
            };
            self.created.push(Created {
                id,
                sent: 0,
                stored: 0,
            });
            let device = self.created.last_mut().context("no device")?;
            while device.sent < MESSAGES {
                let path = format!("/devices/{}/messages/devicebound", device.id);
                let request = target.request(Method::POST, "/messages/devicebound");
                let request = request.header("iothub-to", path);
                let request = request.body(body(&device.id, device.sent));
                let Some(_acknowledged) = target.write(request).await? else {
                    return Ok(());
                };
                device.sent += 1;
            }
        }
    }

    /// Each queue has the messages in their order; one more may be there without its
    /// acknowledgement.
    pub(super) async fn check(&mut self, target: &Target) -> Result<()> {
        for device in &mut self.created[self.checked..] {
            let Created { id, sent, stored } = device;
            while let Some(message) = target.receive(id).await? {
                let expected = body(id, *stored);
                ensure!(message == expected, "{id}: {message} is not {expected}");
                *stored += 1;
            }
            ensure!(
                (*sent..=*sent + 1).contains(stored) && *stored <= MESSAGES,
                "{id}: {sent} messages were acknowledged, {stored} are stored"
            );
        }
        self.checked = self.created.len();
        Ok(())
    }

    /// Compares how many messages wait; how many those are.
    pub(super) fn check_all(&self, queued: &HashMap<String, u64>) -> Result<u64> {
        let mut all = 0;
        for device in &self.created {
            let count = queued.get(&device.id);
            let count = *count.with_context(|| format!("{} is lost", device.id))?;
            ensure!(
                count == device.stored as u64,
                "{}: {count} messages of {}",
                device.id,
                device.stored
            );
            all += count;
        }
        Ok(all)
    }
}

fn body(device: &str, number: usize) -> String {
    format!("{device} {number} {}", "x".repeat(number * 1000))
}
