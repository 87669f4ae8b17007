//! What a device asks for.

use ids::{IdScope, RegistrationId};
use serde_json::Value;
use wire::device_api::register_request::{CsrClaim, UnverifiedRegister};

use crate::registration::presented::Presented;

/// A request to register, or to read a registration: the id, and what is presented for it.
#[derive(Debug, Clone, Copy)]
pub struct Register<'a> {
    pub id_scope: &'a IdScope,
    /// What the device calls itself.
    pub registration_id: &'a RegistrationId,
    pub presented: Presented<'a>,
    pub body: RegisterBody<'a>,
}

/// What a device asks for beside a hub. Nothing when it only reads its registration.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegisterBody<'a> {
    /// For a custom allocation.
    pub payload: Option<&'a Value>,
    /// For which key a certificate shall be issued.
    pub csr: Option<&'a CsrClaim>,
}

impl<'a> From<&'a UnverifiedRegister> for RegisterBody<'a> {
    fn from(body: &'a UnverifiedRegister) -> Self {
        Self {
            payload: body.payload.as_ref(),
            csr: body.csr.as_ref(),
        }
    }
}
