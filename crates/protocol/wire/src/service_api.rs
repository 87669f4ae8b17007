//! What operators send to the service APIs of DPS and IoT Hub and get from them, and what
//! a webhook is asked.

pub mod allocation;
pub mod ca_certificate;
pub mod configuration;
pub mod device_view;
pub mod digital_twin;
pub mod enrollment;
pub mod identity;
pub mod import_device;
pub mod job;
pub mod key_rotation;
pub mod method;
pub mod remote_hub;
pub mod transfer_job;
