//! A factory has thousands of requests signed, and somebody pulls the plug.

use anyhow::Result;
use sim::{BulkSigning, sign_in_bulk};

#[test]
fn each_request_has_one_certificate_after_a_run_that_was_killed_and_repeated() -> Result<()> {
    let plan = BulkSigning {
        requests: 3000,
        kills: 3,
        seed: 11,
    };
    sign_in_bulk(plan).map(drop)
}
