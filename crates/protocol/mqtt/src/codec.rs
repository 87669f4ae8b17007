mod decode;
mod encode;

pub use decode::{DecodeError, decode};
pub use encode::{EncodeError, encode};

/// Longest topic name read, bytes: all that MQTT can carry. Message properties travel in topics.
pub const MAX_TOPIC: usize = u16::MAX as usize;
/// Longest topic filter read, bytes.
pub const MAX_FILTER: usize = 1024;
/// Most filters in one SUBSCRIBE or UNSUBSCRIBE.
pub const MAX_FILTERS: usize = 32;
/// Longest client id read, bytes.
pub const MAX_CLIENT_ID: usize = 512;
/// Longest user name and longest password read, bytes each.
pub const MAX_CREDENTIAL: usize = 8 * 1024;

/// Packet types, the upper half of the first byte. Table 2.1.
mod kind {
    pub(super) const CONNECT: u8 = 1;
    pub(super) const CONNACK: u8 = 2;
    pub(super) const PUBLISH: u8 = 3;
    pub(super) const PUBACK: u8 = 4;
    pub(super) const SUBSCRIBE: u8 = 8;
    pub(super) const SUBACK: u8 = 9;
    pub(super) const UNSUBSCRIBE: u8 = 10;
    pub(super) const UNSUBACK: u8 = 11;
    pub(super) const PINGREQ: u8 = 12;
    pub(super) const PINGRESP: u8 = 13;
    pub(super) const DISCONNECT: u8 = 14;
}

/// CONNECT's flags byte, figure 3.4.
mod flag {
    pub(super) const USER_NAME: u8 = 0x80;
    pub(super) const PASSWORD: u8 = 0x40;
    pub(super) const WILL_RETAIN: u8 = 0x20;
    pub(super) const WILL: u8 = 0x04;
    pub(super) const CLEAN_SESSION: u8 = 0x02;
    pub(super) const RESERVED: u8 = 0x01;
}

const PROTOCOL_NAME: &str = "MQTT";
const PROTOCOL_LEVEL: u8 = 4;
const SUBSCRIPTION_REFUSED: u8 = 0x80;
