//! The files of a device: where they are, who may read them, and how they are written.

pub mod durable;
pub mod paths;
pub mod permissions;
