//! Whether an attempt to connect obeys the variables that the deployment gives the agent.
//!
//! They may name a proxy that does not work, and only the hub can take them back. So after a failed
//! attempt the next one does without, and the one after that obeys them again.

use crate::provision::machine::Event;

#[derive(Debug, Default)]
pub(super) struct DeploymentOptions {
    are_left_out: bool,
    /// Whether the service or the hub was not reached, or refused, since the last reading.
    failed: bool,
}

impl DeploymentOptions {
    /// Notes what has happened. A failure beside a session changes nothing.
    pub(super) fn note(&mut self, event: &Event, has_session: bool) {
        match event {
            Event::Connected => *self = Self::default(),
            Event::Registered(Err(_)) | Event::Refused(_) => self.failed |= !has_session,
            _ => {}
        }
    }

    /// Another attempt begins: whether it obeys them.
    pub(super) fn begin(&mut self) -> bool {
        self.are_left_out ^= std::mem::take(&mut self.failed);
        !self.are_left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::machine::Failed;

    fn refused() -> Event {
        Event::Refused(Failed::unavailable("no route".to_owned()))
    }

    #[test]
    fn reading_alone_leaves_nothing_out() {
        let mut options = DeploymentOptions::default();
        for _ in 0..3 {
            assert!(options.begin());
            options.note(&Event::Read(Err("not issued yet".to_owned())), false);
        }
        options.note(&Event::Connected, true);
        for _ in 0..3 {
            assert!(options.begin(), "files are read during a session");
            options.note(&refused(), true);
        }
    }

    #[test]
    fn every_other_attempt_does_without_however_often_it_failed() {
        let mut options = DeploymentOptions::default();
        for obeys in [true, false, true, false] {
            assert_eq!(options.begin(), obeys);
            options.note(
                &Event::Registered(Err(Failed::unavailable(String::new()))),
                false,
            );
            options.note(&refused(), false);
        }
        options.note(&Event::Connected, true);
        assert!(options.begin());
    }
}
