//! The harness of the story tests: real programs as child processes, on addresses of their own, in
//! folders of their own.
//!
//! A story reads as what a person does: start a server, make certificates, enroll, start a
//! device, look. Everything that is started here ends with the value that stands for it, whatever
//! happens to the test.

mod answers;
mod bulk_signing;
mod clients_page;
mod command_line;
mod device;
mod edge_device;
mod engine;
mod event_sink;
mod exchange;
mod fleet;
mod http_listener;
mod hybrid;
mod issued;
mod kills;
pub mod measure;
mod mqtt_device;
mod nats_server;
mod old_data;
mod one_address;
mod openssl;
mod operator;
mod program;
mod python;
mod requests;
mod script;
mod server;
mod soft_token;
mod tpm;
mod waiting;
mod webhook;
mod workshop;

pub use self::device::Device;
pub use answers::lost_members;
pub use bulk_signing::{BulkSigning, SignedInBulk, sign_in_bulk};
pub use clients_page::ClientsPage;
pub use edge_device::EdgeDevice;
pub use engine::{Engine, OwnEngine};
pub use event_sink::EventSink;
pub use exchange::{Exchanged, exchange};
pub use fleet::Fleet;
pub use hybrid::{HybridClient, HybridServer, hybrid_alone};
pub use issued::{
    certs_only, enroll_requesting, issue_certificate, issued_chain, plain_client, write_pem,
};
pub use kills::{Kills, Survived, survive};
pub use mqtt_device::{CloudMessage, MqttDevice};
pub use nats_server::{NatsMessage, NatsServer};
pub use old_data::OldData;
pub use openssl::openssl;
pub use program::{Finished, Program, binary, run, run_to_end};
pub use python::python;
pub use requests::{new_request, request_by_openssl, write_request};
pub use script::{Language, Script};
pub use server::{ServeSettings, Server};
pub use soft_token::SoftToken;
pub use tpm::{Tpm, TpmKeys};
pub use waiting::until;
pub use webhook::Webhook;
pub use workshop::{Identity, Workshop};
