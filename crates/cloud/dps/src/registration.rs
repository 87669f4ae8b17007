//! The registration of a device. `register` walks the steps, which stand here in their
//! order. Each step returns a value that only its file can make, and the next one demands
//! it. A step imports no later one.

pub mod register;

pub mod request;

pub mod claim;

pub mod candidates;

pub mod attest;

pub mod allocate;

pub mod issue;

pub mod assign;

pub mod result;

pub mod credential;
pub mod enrollment;
pub mod not_proven;
pub mod presented;
pub mod refusal;
pub mod unregistered;

pub mod context;
pub mod explain;
pub mod look_up;
pub mod operation_id;
pub mod operations;
pub mod recent_operations;
