//! What devices and clients see: JSON, topics, user names, headers, api-versions, deployment
//! manifests.
//!
//! Two sides must agree on everything in here. Formats are Azure's unless they are in `muster_api`;
//! each module names the surface that it models. Nothing in here performs I/O. A folder is an
//! audience; nouns that several share stand beside them.

#![warn(missing_docs)]

pub mod device_api;
pub mod edge_api;
pub mod muster_api;
pub mod service_api;

pub mod binary;
pub mod certificate_info;
pub mod cloud_message;
pub mod connection_string;
pub mod error;
pub mod est;
pub mod etag;
pub mod file_upload;
pub mod http;
pub mod initial_twin;
pub mod lenient;
pub mod public_pki;
pub mod sas;
pub mod telemetry;
pub mod topic;
pub mod twin;
