//! Bodies about identities: of one device or module, of a bulk request, and of a rotation of keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::service_api::identity::{DeviceRequest, ModuleRequest};
use wire::service_api::import_device::{ImportDevice, MAX_BULK, bulk_items};
use wire::service_api::key_rotation::KeyRotation;

fuzz_target!(|data: &[u8]| {
    let Ok(body) = wire::lenient::parse(data) else {
        return;
    };
    let _ = DeviceRequest::parse(&body);
    let _ = ModuleRequest::parse(&body);
    if let Ok(items) = bulk_items(&body) {
        assert!((1..=MAX_BULK).contains(&items.len()));
        for item in items {
            if let Ok(device) = ImportDevice::parse(item) {
                assert!(!device.mode.name().is_empty());
                // The rest of an item is what a request of its own would be.
                assert_eq!(DeviceRequest::parse(item), Ok(device.identity));
            }
        }
    }
    if let Ok(rotation) = KeyRotation::parse(&body) {
        assert!((1..=MAX_BULK).contains(&rotation.targets.len()));
        assert!(
            rotation
                .targets
                .iter()
                .all(|target| target.module != Some(""))
        );
    }
});
