//! Topics and filters of the hub. What a device may publish to is written as it was read.
#![no_main]

use ids::{DeviceId, ModuleId};
use libfuzzer_sys::fuzz_target;
use wire::topic::{DeviceTopic, Filter, HubTopic};

fuzz_target!(|topic: &str| {
    let (Ok(device), Ok(module)) = (DeviceId::parse("dev-001"), ModuleId::parse("sensor")) else {
        return;
    };
    for module in [None, Some(&module)] {
        if let Ok(read) = DeviceTopic::parse(topic, &device, module) {
            let written = read.format(&device, module);
            assert_eq!(DeviceTopic::parse(&written, &device, module).ok(), Some(read));
        }
        if let Ok(read) = Filter::parse(topic, &device, module) {
            let written = read.format(&device, module);
            assert_eq!(Filter::parse(&written, &device, module).ok(), Some(read));
        }
    }
    let _ = HubTopic::parse(topic);
});
