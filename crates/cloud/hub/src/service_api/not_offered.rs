//! What Azure's hub has at these paths and this one does not yet: answered in words, not
//! as an unknown path.

use registry::Right;
use rest::{Reply, any};

use super::Route;
use super::access::Access;
use crate::error::HubError;

pub(super) fn routes() -> Vec<Route> {
    use Right::{RegistryRead, RegistryWrite, ServiceConnect};
    let operator = Access::AnyOf(&[ServiceConnect, RegistryRead, RegistryWrite]);
    let of_operator = |path, what: &'static str| any(path, operator, move |_call| refuse(what));
    vec![of_operator("/jobs/**", "import and export jobs")]
}

async fn refuse(what: &'static str) -> Result<Reply, HubError> {
    Err(HubError::NotOffered(what))
}
