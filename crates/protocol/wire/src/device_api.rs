//! What devices send and get: registrations, user names, messages.

pub mod certificate_renewal;
pub mod message;
pub mod register_request;
pub mod registration;
pub mod username;
