//! Two lines before one door: who is known does not wait behind names that anybody can invent.

use std::time::Duration;

use ids::Timestamp;

use super::line::{Line, Room, Spread, is_due};

/// Who stands in which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The device has registered before, or others from its address have lately.
    Known,
    /// Neither the device nor another of its address has, as far as is remembered.
    Newcomer,
}

/// The turns that were given out to those who are known, and to newcomers.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    known: Line,
    newcomers: Line,
}

impl Lines {
    /// How long it would take to serve everybody who was told a turn.
    #[must_use]
    pub fn length(&self, now: Timestamp) -> Duration {
        self.known.length(now).max(self.newcomers.length(now))
    }

    /// Whether a device may pass; `told` is when it was told that its turn is, if it was told.
    #[must_use]
    pub fn lets_pass(
        &self,
        standing: Standing,
        room: Room,
        told: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        match standing {
            Standing::Known => self.known.lets_pass(room, told, now),
            // What is scarce is not for somebody who just comes while others wait.
            Standing::Newcomer => {
                let nobody_waits = || self.known.length(now).is_zero();
                let in_turn = room != Room::Scarce || is_due(told, now) || nobody_waits();
                in_turn && self.newcomers.lets_pass(room, told, now)
            }
        }
    }

    /// Sends a device away: when it is to come again. While both lines have somebody in them, three of four turns are for those who are
    /// known.
    pub fn send_away(
        &mut self,
        standing: Standing,
        told: Option<Timestamp>,
        (free_in, turn): (Duration, Duration),
        spread: Spread,
        now: Timestamp,
    ) -> Timestamp {
        let (line, other, shared) = match standing {
            Standing::Known => (&mut self.known, &self.newcomers, turn * 4 / 3),
            Standing::Newcomer => (&mut self.newcomers, &self.known, turn * 4),
        };
        let turn = if other.length(now).is_zero() {
            turn
        } else {
            shared
        };
        line.send_away(told, (free_in, turn), spread, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const TURN: (Duration, Duration) = (Duration::ZERO, Duration::from_millis(100));

    #[test]
    fn invented_names_do_not_lengthen_the_line_of_those_who_are_known() {
        // C6: a stranger held the line at five minutes for everybody.
        let mut lines = Lines::default();
        for number in 0..100_000_u64 {
            let spread = Spread::of(number << 40);
            lines.send_away(Standing::Newcomer, None, TURN, spread, START);
        }
        let turn = lines.send_away(Standing::Known, None, TURN, Spread::of(0), START);
        assert!(turn.since(START) <= Duration::from_secs(2));
        assert!(lines.lets_pass(Standing::Known, Room::Scarce, Some(turn), turn));
        // Newcomers do not pass those who wait, unless it is their turn.
        let come = |told| lines.lets_pass(Standing::Newcomer, Room::Scarce, told, START);
        assert!(!come(None));
        assert!(come(Some(START)));
        assert!(lines.lets_pass(Standing::Newcomer, Room::Plenty, None, START));
    }
}
