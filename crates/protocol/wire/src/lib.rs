//! What devices and clients see: JSON, topics, user names, headers, api-versions, deployment manifests.
//!
//! Two sides must agree on everything in here, so it is the only crate that spells a topic or a JSON field name.
//! Formats are Azure's; each module names the surface it models. Nothing in here performs I/O.

pub mod binary;
pub mod connection_string;
pub mod error;
pub mod http;
pub mod lenient;
pub mod sas;

pub mod message;
pub mod topic;
pub mod username;

pub mod allocation;
pub mod ca_certificate;
pub mod dps;
pub mod enrollment;
pub mod issuing;
pub mod serving;
pub mod verdict;

pub mod device_view;
pub mod identity;
pub mod method;
pub mod telemetry;
pub mod twin;

pub mod configuration;
pub mod manifest;

pub mod local_api;

pub mod remote_hub;

pub mod requests;
