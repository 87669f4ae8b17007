//! A year of a fleet that renews its certificates over EST, at the hub, or either way, on the real
//! services and a simulated clock.
//! Services fail, answers are lost, devices lose power between any two steps. No device is ever
//! without a credential that the hub accepts.

mod counts;
mod device;
mod key;
mod outages;
mod world;

use std::time::{Duration, Instant};

use ::device::renewal::{RenewalPolicy, Threshold};

use counts::Counts;
use device::{Issuer, SimulatedDevice};
use world::World;

const DEVICES: usize = 50;
const DAYS: u32 = 365;
/// Between two looks of a device at its certificates.
const TICK: Duration = Duration::from_secs(6 * 3600);
const CERTIFICATE_DAYS: u32 = 30;
const POLICY: RenewalPolicy = RenewalPolicy {
    threshold: Threshold::Percent(60),
    spread_percent: 10,
};

#[tokio::test]
async fn t12_no_device_is_ever_without_a_credential_that_works() {
    let seed = 20_260_601;
    let began = Instant::now();
    let mut world = World::start(seed).await;
    let mut fleet = Vec::new();
    for n in 0..DEVICES {
        let issuer = match n % 5 {
            0 | 1 => Issuer::Est,
            2 | 3 => Issuer::Hub,
            _ => Issuer::Either,
        };
        fleet.push(SimulatedDevice::enroll(&world, format!("press-{n}"), issuer, seed).await);
    }
    for tick in 0..DAYS * 4 {
        world.advance(TICK).await;
        for device in &mut fleet {
            let changed = device.tick(&world).await;
            // What nobody touched works as before, up to its expiry.
            if changed || tick % 28 == 0 {
                device.require_working_credential(&world).await;
            }
        }
    }
    // Certificates of 30 days are renewed every 18 days or sooner.
    for device in &fleet {
        let renewals = device.counts.renewals();
        assert!(renewals >= DAYS / CERTIFICATE_DAYS, "{renewals}");
    }
    let all: Counts = fleet.iter().map(|device| device.counts).sum();
    println!(
        "{DEVICES} devices, {DAYS} days, {} outages, {} of them of the hub alone, {} restarts, in {:?}: \
         {all:?}",
        world.outages().count(),
        world.outages().of_hub(),
        world.restarts(),
        began.elapsed(),
    );
    assert!(world.outages().of_hub() > 3);
    assert!(all.over_est > 300 && all.at_hub > 300, "{all:?}");
    assert!(all.switches > 50, "{all:?}");
    assert!(all.lost_answers > 100 && all.deaths > 100, "{all:?}");
    assert!(all.repeated_answers > 20 && all.replaced > 20, "{all:?}");
}
