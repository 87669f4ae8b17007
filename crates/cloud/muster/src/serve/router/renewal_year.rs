//! A year of a fleet that renews its certificates, on the real services and a simulated clock.
//! Services fail, answers are lost, devices lose power between any two steps. No device is ever
//! without a credential that the hub accepts.

mod device;
mod outages;
mod world;

use std::time::{Duration, Instant};

use ::device::renewal::RenewalPolicy;

use device::SimulatedDevice;
use world::World;

const DEVICES: usize = 50;
const DAYS: u32 = 365;
/// Between two looks of a device at its certificates.
const TICK: Duration = Duration::from_secs(6 * 3600);
const CERTIFICATE_DAYS: u32 = 30;
const POLICY: RenewalPolicy = RenewalPolicy {
    after_percent: 50,
    spread_percent: 10,
};

#[tokio::test]
async fn t12_no_device_is_ever_without_a_credential_that_works() {
    let seed = 20_260_601;
    let began = Instant::now();
    let mut world = World::start(seed).await;
    let mut fleet = Vec::new();
    for n in 0..DEVICES {
        fleet.push(SimulatedDevice::enroll(&world, format!("press-{n}"), seed).await);
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
    let sum = |count: fn(&SimulatedDevice) -> u32| fleet.iter().map(count).sum::<u32>();
    let renewals = sum(|device| device.renewals);
    let (lost, deaths) = (
        sum(|device| device.lost_answers),
        sum(|device| device.deaths),
    );
    // Certificates of 30 days are renewed every 18 days or sooner.
    for device in &fleet {
        assert!(
            device.renewals >= DAYS / CERTIFICATE_DAYS,
            "{}",
            device.renewals
        );
    }
    assert!(
        lost > 100 && deaths > 100,
        "{lost} lost answers, {deaths} deaths"
    );
    println!(
        "{DEVICES} devices, {DAYS} days: {renewals} renewals, {lost} lost answers, {deaths} \
         losses of power, {} outages, {} restarts, in {:?}",
        world.outages(),
        world.restarts(),
        began.elapsed(),
    );
}
