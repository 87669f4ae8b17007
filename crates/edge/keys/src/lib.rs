//! The private keys of a device.
//!
//! One role, a process of its own, holds them: [`Keys`], behind the Keys API ([`Api`]). All other
//! parts of the device use them through a [`Client`], which sees public halves, signatures and
//! handles. Keys are in files, in PKCS#11 tokens, or in the TPM ([`Source`]); those that the role
//! makes itself are in its own folder, or in the token that is set for new keys.

mod aead;
mod api;
mod client;
mod error;
mod files;
mod handle;
mod key_file;
mod key_id;
mod principals;
mod rsa_block;
mod scheme;
mod secrets;
mod settings;
pub mod socket_name;
mod store;
mod tpm_keys;

pub use aead::is_azures_ciphertext;
pub use api::{Api, ApiError};
pub use client::Client;
pub use error::KeyError;
pub use files::adopt;
pub use key_id::KeyId;
pub use principals::Principals;
pub use secrets::SecretKey;
pub use settings::{HiddenText, NewKeys, Settings, Source};
pub use store::{KeyStore, Keys, OpenPair};
pub use tpm_keys::TpmAccess;
