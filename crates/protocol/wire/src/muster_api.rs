//! What operators send to the parts of the API that Azure does not have, or has in its resource manager only.

pub mod explain;
pub mod issuers;
pub mod serving;
