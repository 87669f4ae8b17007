//! The client side of provisioning services and hubs: trust, registration, the hub connection,
//! module identities, and the workload socket.
//!
//! It is shared by the edge daemon, the sensor module and simulated devices, so that a simulated
//! device acts as a real one. Nothing here decides when to try again: calls end within a time limit
//! with an error of a certain kind, and [`Backoff`] gives the pause.

mod clock;

mod trust;

mod identity;

mod dial;

mod proxy;

mod https;

mod blob;

mod server_time;

mod credential;

mod tpm;

mod provision;

pub mod est;

mod modules;

mod hub;

mod workload;

mod backoff;

pub mod renewal;

pub use backoff::{Backoff, retry_pause};
pub use blob::{BlobContainer, BlobError, BlobKind, BlobWriter};
pub use clock::Clock;
pub use credential::{Credential, KeySigner, SignError, Signer, Signing, TokenSource, token};
pub use dial::ConnectError;
pub use https::{Answer, HttpsClient, HttpsError};
pub use hub::{
    CallError, DesiredChange, Event, Events, Hub, HubError, HubOptions, Lost, MethodCall,
    RenewalError, renew_at_hub,
};
pub use identity::{Identity, IdentityError};
pub use modules::{ModuleError, ModuleIdentities};
pub use provision::{Assignment, Attestation, ProvisionError, Provisioning, provision};
pub use proxy::{Proxies, ProxyError};
pub use server_time::{ServerTimeError, server_time};
pub use tpm::{Tpm, TpmFault, TpmFaultKind, TpmKey, TpmPublicKeys, TpmSigner};
pub use trust::{Trust, TrustError};
pub use workload::{Workload, WorkloadError};
