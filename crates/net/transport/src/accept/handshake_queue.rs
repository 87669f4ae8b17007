//! Where connections wait for their handshake, which is the dearest thing that a stranger can make this server do.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Once somebody has waited this long, the server is overloaded.
const CROWDED: Duration = Duration::from_millis(100);
/// Nobody waits longer; most clients give up about then, and what would be done for them would be done for nobody.
const PATIENCE: Duration = Duration::from_secs(10);

/// A queue that becomes a stack when it does not keep up: the first to come is served first, until the first has waited too long.
/// From then on the last to come is served first, so that those who are served are served at once. In order, everybody would be
/// served as late as the one who waits longest, and in a long overload nobody in time.
#[derive(Debug)]
pub struct Lobby<T> {
    seats: usize,
    waiting: VecDeque<(Instant, T)>,
}

impl<T> Lobby<T> {
    /// An empty one, for so many.
    pub fn new(seats: usize) -> Self {
        Self {
            seats,
            waiting: VecDeque::new(),
        }
    }

    /// One more waits. When there is no seat left, the one that has waited longest has to go.
    pub fn enter(&mut self, connection: T, now: Instant) -> Option<T> {
        let over = (self.waiting.len() >= self.seats).then(|| self.waiting.pop_front());
        self.waiting.push_back((now, connection));
        over.flatten().map(|(_, connection)| connection)
    }

    /// Whose turn it is.
    pub fn next(&mut self, now: Instant) -> Option<T> {
        let (since, _) = self.waiting.front()?;
        let crowded = now.duration_since(*since) > CROWDED;
        let next = if crowded {
            self.waiting.pop_back()
        } else {
            self.waiting.pop_front()
        };
        next.map(|(_, connection)| connection)
    }

    /// One that has waited too long, to be let go.
    pub fn overdue(&mut self, now: Instant) -> Option<T> {
        let (since, _) = self.waiting.front()?;
        let overdue = now.duration_since(*since) > PATIENCE;
        let gone = overdue.then(|| self.waiting.pop_front()).flatten();
        gone.map(|(_, connection)| connection)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEATS: usize = 100;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_first_is_first_until_it_has_waited_too_long() {
        let (mut lobby, start) = (Lobby::new(SEATS), Instant::now());
        for number in 0..4 {
            assert_eq!(lobby.enter(number, start + ms(number)), None);
        }
        assert_eq!(lobby.next(start + ms(50)), Some(0));
        assert_eq!(lobby.next(start + ms(200)), Some(3));
        assert_eq!(lobby.next(start + ms(200)), Some(2));
        assert_eq!(lobby.overdue(start + ms(200)), None);
        assert_eq!(lobby.overdue(start + ms(11_000)), Some(1));
        assert!(lobby.is_empty() && lobby.next(start + ms(11_000)).is_none());
    }

    #[test]
    fn a_full_lobby_lets_go_of_the_one_that_has_waited_longest() {
        let (mut lobby, start) = (Lobby::new(SEATS), Instant::now());
        let gone: Vec<_> = (0..SEATS + 3)
            .filter_map(|number| lobby.enter(number, start))
            .collect();
        assert_eq!(gone, [0, 1, 2]);
        assert_eq!(lobby.waiting.len(), SEATS);
    }
}
