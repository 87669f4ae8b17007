//! The registration of a device: `register` walks the steps in the order in which they stand here. Each step returns a
//! value that only its file can make, and the next one demands it.

pub mod register;

pub mod presented;

pub mod candidates;

pub mod attest;

pub mod allocate;

pub mod issue;

pub mod assign;

pub mod result;

pub mod enrollment;
pub mod refusal;

pub mod explain;
pub mod look_up;
pub mod operation;
pub mod operations;
pub mod recent;
