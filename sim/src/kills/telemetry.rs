use std::collections::{BTreeSet, VecDeque};

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use wire::telemetry::{EVENTS_MISSING, EVENTS_NEXT};

use super::target::Target;
use crate::{Device, MqttDevice};

/// Messages that are sent before the first of them is acknowledged.
const WINDOW: usize = 8;

/// Messages of a device over MQTT at QoS 1, numbered, each sent once.
pub(super) struct Telemetry {
    device: Device,
    /// The number of the next message.
    next: u64,
    acknowledged: BTreeSet<u64>,
    /// What is in the log before this position is checked.
    checked: Position,
}

#[derive(Default, Clone, Copy)]
struct Position {
    offset: u64,
    /// The last message that was found.
    number: u64,
}

impl Telemetry {
    pub(super) fn of(device: Device) -> Self {
        Self {
            device,
            next: 1,
            acknowledged: BTreeSet::new(),
            checked: Position::default(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.acknowledged.len()
    }

    pub(super) async fn write(&mut self, target: &Target) -> Result<()> {
        match self.device.connect(target.host()).await {
            Ok(session) => self.write_over(session, target).await,
            Err(error) => target.is_gone(error),
        }
    }

    async fn write_over(&mut self, mut session: MqttDevice, target: &Target) -> Result<()> {
        let mut unacknowledged = VecDeque::new();
        loop {
            while unacknowledged.len() < WINDOW {
                let number = self.next;
                self.next += 1;
                let (packet, payload) = (packet(number)?, payload(number));
                let sent = session.publish_at_least_once(packet, payload.as_bytes());
                if let Err(error) = sent.await {
                    return target.is_gone(error);
                }
                unacknowledged.push_back(number);
            }
            let Some(answer) = session.received().await? else {
                return target.is_gone(anyhow!("the session has ended"));
            };
            let number = unacknowledged.pop_front().context("nothing is sent")?;
            let expected = (0x40, packet(number)?.to_be_bytes().to_vec());
            ensure!(answer == expected, "PUBACK of {number} is {answer:?}");
            self.acknowledged.insert(number);
        }
    }

    pub(super) async fn check(&mut self, target: &Target) -> Result<()> {
        self.checked = self.check_after(self.checked, target).await?;
        Ok(())
    }

    /// Reads the whole log; the number of its last message.
    pub(super) async fn check_all(&self, target: &Target) -> Result<u64> {
        let end = self.check_after(Position::default(), target).await?;
        ensure!(end.number == self.checked.number, "{}", end.number);
        Ok(end.number)
    }

    /// Reads the log behind a position to its end.
    async fn check_after(&self, mut position: Position, target: &Target) -> Result<Position> {
        let mut due = self.acknowledged.range(position.number + 1..).peekable();
        loop {
            let path = format!("/muster/v1/events?max=1000&after={}", position.offset);
            let (status, headers, page) = target.read(target.request(Method::GET, &path)).await?;
            ensure!(status == 200, "{path}: {status} {page}");
            let missing = headers.get(EVENTS_MISSING);
            ensure!(missing.is_none(), "{path}: {missing:?} cannot be read");
            let events = page.as_array().context("no page")?;
            for event in events {
                let number = self.read(event["body"].as_str().context("no body")?)?;
                let last = position.number;
                ensure!(number > last, "message {number} comes after {last}");
                if due.peek().is_some_and(|due| **due == number) {
                    due.next();
                }
                let lost = due.peek().filter(|due| ***due < number);
                ensure!(
                    lost.is_none(),
                    "message {lost:?} was acknowledged, and is lost"
                );
                position.number = number;
            }
            if events.is_empty() {
                let lost = due.next();
                ensure!(
                    lost.is_none(),
                    "message {lost:?} was acknowledged, and is lost"
                );
                return Ok(position);
            }
            let next = headers.get(EVENTS_NEXT).context("no next number")?;
            position.offset = next.to_str()?.parse()?;
        }
    }

    /// The number of a message, which has to be whole and to have been sent.
    fn read(&self, body: &str) -> Result<u64> {
        let body = String::from_utf8(BASE64_STANDARD.decode(body)?)?;
        let number = body.split(' ').next().context("no number")?.parse()?;
        ensure!(number < self.next, "message {number} was not sent");
        ensure!(body == payload(number), "message {number} is torn: {body}");
        Ok(number)
    }
}

/// Some bytes behind the number, in some messages pages of a file.
fn payload(number: u64) -> String {
    let most = if number.is_multiple_of(32) {
        16_384
    } else {
        256
    };
    let length = usize::try_from(number * 37 % most).unwrap_or_default();
    format!("{number} {}", "x".repeat(length))
}

fn packet(number: u64) -> Result<u16> {
    Ok(u16::try_from(number % 65_535 + 1)?)
}
