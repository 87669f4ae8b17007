//! Where connections wait for their handshake, which is the most expensive thing that an unproven
//! client can ask for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The server is overloaded when the oldest connection has waited this long.
const OVERLOADED: Duration = Duration::from_millis(100);
/// The longest wait. Most clients give up about then, and a handshake after it would be wasted.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A queue that becomes a stack under overload (adaptive LIFO): the oldest connection is next,
/// until it has waited too long. From then on the newest is next, so that those that are served are
/// served at once. In order, every client would wait as long as the oldest one, and in a long
/// overload none would be served in time.
#[derive(Debug)]
pub struct HandshakeQueue<T> {
    capacity: usize,
    waiting: VecDeque<(Instant, T)>,
}

impl<T> HandshakeQueue<T> {
    /// An empty queue for at most `capacity` connections.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: VecDeque::new(),
        }
    }

    /// Adds a connection. A full queue drops the one that has waited longest, and returns it.
    pub fn push(&mut self, connection: T, now: Instant) -> Option<T> {
        let full = self.waiting.len() >= self.capacity;
        let dropped = full.then(|| self.waiting.pop_front()).flatten();
        self.waiting.push_back((now, connection));
        dropped.map(|(_, connection)| connection)
    }

    /// Takes the connection whose handshake begins next.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        let (since, _) = self.waiting.front()?;
        let overloaded = now.duration_since(*since) > OVERLOADED;
        let next = if overloaded {
            self.waiting.pop_back()
        } else {
            self.waiting.pop_front()
        };
        next.map(|(_, connection)| connection)
    }

    /// Takes a connection that has waited too long.
    pub fn pop_overdue(&mut self, now: Instant) -> Option<T> {
        let (since, _) = self.waiting.front()?;
        let overdue = now.duration_since(*since) > MAX_WAIT;
        let gone = overdue.then(|| self.waiting.pop_front()).flatten();
        gone.map(|(_, connection)| connection)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 100;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_first_is_first_until_it_has_waited_too_long() {
        let (mut queue, start) = (HandshakeQueue::new(CAPACITY), Instant::now());
        for number in 0..4 {
            assert_eq!(queue.push(number, start + ms(number)), None);
        }
        assert_eq!(queue.pop(start + ms(50)), Some(0));
        assert_eq!(queue.pop(start + ms(200)), Some(3));
        assert_eq!(queue.pop(start + ms(200)), Some(2));
        assert_eq!(queue.pop_overdue(start + ms(200)), None);
        assert_eq!(queue.pop_overdue(start + ms(11_000)), Some(1));
        assert!(queue.is_empty() && queue.pop(start + ms(11_000)).is_none());
    }

    #[test]
    fn a_full_queue_drops_the_one_that_has_waited_longest() {
        let (mut queue, start) = (HandshakeQueue::new(CAPACITY), Instant::now());
        let dropped: Vec<_> = (0..CAPACITY + 3)
            .filter_map(|number| queue.push(number, start))
            .collect();
        assert_eq!(dropped, [0, 1, 2]);
        assert_eq!(queue.waiting.len(), CAPACITY);
    }
}
