//! Answers that the provisioning service reads: of webhooks of custom allocations, and of remote
//! hubs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::service_api::allocation::{AllocationAnswer, WebhookUrl, WebhookVersion};
use wire::service_api::identity::Authentication;
use wire::service_api::remote_hub::{RemoteDevice, RemoteTwin, refusal, refusal_code};

fuzz_target!(|data: &[u8]| {
    if let Ok(answer) = AllocationAnswer::parse(data) {
        // What is recorded can be read back.
        let text = serde_json::to_vec(&answer).unwrap();
        let again: AllocationAnswer = serde_json::from_slice(&text).unwrap();
        assert_eq!(again, answer);
    }
    if let Ok(device) = RemoteDevice::parse(data) {
        let changed = device.proving_itself_by(&Authentication::CertificateAuthority);
        let changed = RemoteDevice::parse(changed.to_string().as_bytes()).unwrap();
        assert_eq!(changed.generation_id, device.generation_id);
        let disabled = device.with_status(Some("why")).to_string();
        let disabled = RemoteDevice::parse(disabled.as_bytes()).unwrap();
        assert_eq!(disabled.status_reason.as_deref(), Some("why"));
    }
    let _ = RemoteTwin::parse(data);
    let _ = refusal(data);
    let _ = refusal_code(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = WebhookVersion::parse(text);
        if let Ok(url) = WebhookUrl::parse(text) {
            assert!(url.masked().is_mask_of(&url));
            assert!(text.len() > 2000 || WebhookUrl::parse(&url.to_string()).is_ok());
        }
    }
});
