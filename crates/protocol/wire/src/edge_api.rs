//! What an edge device reads and reports: deployment manifests, and the local APIs of its daemon.

pub mod certificates;
pub mod keys;
pub mod local;
pub mod manifest;
pub mod tpm;
