//! Decides which requests a server accepts now, and when the others may try again.
//!
//! Four limits are checked, the cheapest first:
//!
//! ```text
//!  request
//!     │
//!     ▼
//!  Addresses ────────── calls a second of one network address; a known address may call more
//!     │
//!     ▼
//!  Clients ──────────── calls of one client; remembers its scheduled time
//!     │
//!     ▼
//!  Quota ────────────── starts a minute of one scope        ┐ no capacity: `TieredSchedule`
//!     │                                                     │ gives out a Retry-After; known
//!     ▼                                                     │ clients wait apart from newcomers
//!  ConcurrencyLimit ─── starts in progress at once, bounded ┘
//!     │                 so that each takes 300 ms on average
//!     ▼
//!    Slot ───────────── held while the request is worked on
//! ```
//!
//! A *start* is a request that begins work and takes a [`Slot`]; a *poll* asks for the outcome
//! of an earlier start. Polls are limited by address and by client only, so that work that has
//! begun can be finished.
//!
//! A client that is refused gets a scheduled time, derived from the backlog of times that
//! were given out and the measured throughput. A client that returns at its scheduled time
//! is admitted before one that has none. Nothing queues here, and memory does not grow with
//! the number of clients.
//!
//! [`MemberBuckets`] are apart from this: plain token buckets for demands of members of a group.
//!
//! The time and the randomness are arguments; there is no I/O.

mod admission;
mod limits;

mod addresses;
mod clients;
mod table;

mod member_buckets;

mod concurrency;
mod quota;
mod rate;
mod retry_schedule;
mod tiers;

pub use admission::{AddressPermit, Admission, PollPermit, Slot};
pub use clients::Client;
pub use limits::{Call, Limit, Limits, Load, Throttled};
pub use member_buckets::{Demand, Exceeded, Exceeding, MemberBuckets, MemberLimits};
pub use rate::{Bucket, Rate};
