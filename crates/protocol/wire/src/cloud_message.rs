//! Cloud-to-device messages: how back ends send them over HTTPS, how devices get them, and the
//! feedback about them.
//!
//! Azure documents sending over AMQP only. Over HTTPS, `POST /messages/devicebound` with the header
//! `iothub-to` and `POST /devices/{id}/messages/deviceBound` are what public clients send.

mod delivery;
mod feedback;
mod send;

pub use delivery::Delivery;
pub use feedback::{FEEDBACK, FeedbackRecord, FeedbackStatus, PurgeResult};
pub use send::{Addressee, PropertyError, SendRequest};

/// Largest message, bytes: its body with the names and values of its properties.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Most bytes of the properties as they stand in an MQTT topic, which has 65,535 at most.
pub const MAX_BAG: usize = 56 * 1024;
/// The path of messages to any device or module; a property names it.
pub const SEND_PATH: &str = "/messages/devicebound";
/// What is wrong with a message that names no device.
pub const NO_ADDRESSEE: &str = "the header iothub-to is missing, for example \
                                /devices/{id}/messages/devicebound";
/// Header of a receiver: seconds for which it has the message to itself.
pub const LOCK_TIMEOUT: &str = "iothub-messagelocktimeout";
