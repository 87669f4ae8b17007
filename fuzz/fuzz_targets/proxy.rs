//! `https_proxy` and `no_proxy`, as an operator writes them.
#![no_main]

use device::Proxies;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (proxy, list) = text.split_once('\n').unwrap_or((text, ""));
    match Proxies::parse(Some(proxy), Some(list)) {
        Ok(proxies) => drop(format!("{proxies:?}")),
        Err(error) => assert!(!error.to_string().is_empty(), "refused without a reason"),
    }
});
