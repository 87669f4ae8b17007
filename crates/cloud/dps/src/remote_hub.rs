//! Linked hubs of other servers: calls to them, their health, and the tasks that are stored
//! until they are done there.

pub mod client;
pub mod fault;
pub mod health;
pub mod outbox;
pub mod probes;
