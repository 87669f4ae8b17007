//! One runtime: what is in its memory, and how it acts on what the product decides.

mod act;

use std::time::Duration;

use device::renewal::{NextStep, RenewalPolicy, Threshold};
use edge::config::ReprovisioningMode;
use edge::plan::Memory;
use edge::provision::clock_guard::{ClockGuard, Moment};
use edge::provision::machine::{Event, Machine};
use ids::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::counts::Counts;
use super::disk::{Disk, Power, PowerCut};
use super::modules::Engine;
use super::world::{Certificate, World, at};
use super::{DAY, HOUR, PEACE, YEAR};

const POLICY: RenewalPolicy = RenewalPolicy {
    threshold: Threshold::Percent(60),
    spread_percent: 10,
};
/// Between two looks of a runtime that has nothing to do. The product looks every five minutes.
const IDLE: u64 = 6 * HOUR;

/// A device with its disk and its containers.
pub struct Runtime {
    number: usize,
    mode: ReprovisioningMode,
    /// The device's own number from 0 to 1.
    chance: f64,
    random: StdRng,
    disk: Disk,
    power: Power,
    engine: Engine,
    memory: Option<InMemory>,
    off_until: u64,
    keys: u32,
    pub counts: Counts,
}

/// What a loss of power takes.
struct InMemory {
    machine: Machine,
    guard: ClockGuard,
    restarts: Memory,
    booted: u64,
    /// The machine's clock runs from this value, seconds since 1970, until it is set.
    wrong_wall: Option<i64>,
    set_at: u64,
    session: Option<Session>,
    /// What the last reading offered.
    offers: Vec<Certificate>,
    wait_until: u64,
    /// When what was not reached may be back.
    away_until: Option<u64>,
}

struct Session {
    host: String,
    certificate: Certificate,
    since: u64,
}

impl InMemory {
    fn moment(&self, now: u64) -> Moment {
        let uptime = now - self.booted;
        let wall = match self.wrong_wall {
            Some(start) if now < self.set_at => {
                Timestamp::from_unix_seconds(start + i64::try_from(uptime).unwrap())
            }
            _ => at(now),
        };
        Moment {
            wall,
            uptime: Duration::from_secs(uptime),
        }
    }

    fn time(&self, now: u64) -> Timestamp {
        self.guard.read(self.moment(now)).time
    }
}

impl Runtime {
    pub fn new(number: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            number,
            mode: match number % 5 {
                0 => ReprovisioningMode::AlwaysOnStartup,
                1 => ReprovisioningMode::OnErrorOnly,
                _ => ReprovisioningMode::Dynamic,
            },
            chance: random.random(),
            power: Power::restored(&mut random),
            random,
            disk: Disk::new(),
            engine: Engine::default(),
            memory: None,
            off_until: 0,
            keys: 0,
            counts: Counts::default(),
        }
    }

    /// Works until there is nothing to do before a later time, and gives that time.
    pub fn run(&mut self, world: &mut World, now: u64) -> Option<u64> {
        if now < self.off_until {
            // What woke it was of the world, and its own time is planned.
            return None;
        }
        match self.live(world, now) {
            Ok(next) => next,
            Err(PowerCut) => {
                self.counts.power_cuts += 1;
                self.memory = None;
                self.engine.lose_power(at(now));
                let off = match self.random.random_range(0..20) {
                    0 => self.random.random_range(0..2 * DAY),
                    _ => self.random.random_range(10..900),
                };
                self.off_until = now + off;
                Some(self.off_until)
            }
        }
    }

    fn live(&mut self, world: &mut World, now: u64) -> Result<Option<u64>, PowerCut> {
        self.spare_power(now);
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => self.boot(world, now)?,
        };
        // The owner of a device that registers only at a start restarts it now and then.
        let is_old = now - memory.booted > 2 * DAY;
        if self.mode == ReprovisioningMode::OnErrorOnly && is_old && memory.session.is_none() {
            self.memory = None;
            self.off_until = now + 10;
            return Ok(Some(self.off_until));
        }
        memory.away_until = None;
        self.notice_lost_session(&mut memory, world, now)?;
        let is_renewed = self.renew(&mut memory, world, now)?;
        if is_renewed {
            self.step(&mut memory, world, now, Event::Woken)?;
        } else if now >= memory.wait_until {
            self.step(&mut memory, world, now, Event::PauseOver)?;
        }
        self.keep_time(&mut memory, now)?;
        let next = self.next_look(&memory, now);
        self.memory = Some(memory);
        Ok(Some(next))
    }

    /// In the last days nothing fails.
    fn spare_power(&mut self, now: u64) {
        if now > YEAR - PEACE {
            self.power = Power::steady();
        }
    }

    fn boot(&mut self, world: &mut World, now: u64) -> Result<InMemory, PowerCut> {
        self.power = Power::restored(&mut self.random);
        self.spare_power(now);
        let wrong_wall = match self.random.random_range(0..10) {
            0 => Some(self.random.random_range(0..1000)),
            1 => Some(self.random.random_range(1_500_000_000..4_000_000_000)),
            _ => None,
        };
        self.counts.wrong_clocks += u64::from(wrong_wall.is_some());
        let mut memory = InMemory {
            machine: Machine::new(self.mode, self.disk.assignment()),
            guard: ClockGuard::new(None, start_moment(wrong_wall, now)),
            restarts: Memory::default(),
            booted: now,
            wrong_wall,
            // Sooner or later it is set, or never before the next start.
            set_at: now + self.random.random_range(60..20 * DAY),
            session: None,
            offers: Vec::new(),
            wait_until: 0,
            away_until: None,
        };
        memory.guard = ClockGuard::new(self.disk.clock, memory.moment(now));
        // Modules run before, and without, a connection.
        let kept = self.disk.assignment();
        let deployed = self
            .disk
            .deployed
            .clone()
            .filter(|deployed| kept.is_some_and(|kept| kept.location == deployed.location));
        let clock = memory.moment(now).wall;
        let round = self
            .engine
            .round(deployed.as_ref(), &mut memory.restarts, clock);
        self.counts.stopped_by_runtime += round.stopped;
        if deployed.is_some() {
            assert_eq!(round.running, 2, "modules run at a start without the hub");
            self.counts.offline_starts += u64::from(world.is_offline(self.number, now));
        }
        self.step(&mut memory, world, now, Event::Begin)?;
        Ok(memory)
    }

    /// Makes keys and requests certificates as far as it goes. Says whether there is another one.
    fn renew(
        &mut self,
        memory: &mut InMemory,
        world: &mut World,
        now: u64,
    ) -> Result<bool, PowerCut> {
        let mut is_renewed = false;
        loop {
            let slots = self.disk.slots.clone();
            match slots.next_step(POLICY, self.chance, memory.time(now)) {
                NextStep::Wait(_) | NextStep::Prove(_) => return Ok(is_renewed),
                NextStep::MakeKey => {
                    self.keys += 1;
                    let key = self.keys;
                    let with_key = |disk: &mut Disk| {
                        disk.slots =
                            std::mem::replace(&mut disk.slots, slots.clone()).with_key(key);
                    };
                    self.disk.write(&mut self.power, with_key)?;
                }
                NextStep::Request(key) => {
                    let Ok(issued) = self.request(memory, world, now) else {
                        return Ok(is_renewed);
                    };
                    let credential = credential(*key, issued, now);
                    let issued = slots.with_certificate(credential).unwrap();
                    self.disk
                        .write(&mut self.power, |disk| disk.slots = issued)?;
                    is_renewed = true;
                }
            }
        }
    }

    fn keep_time(&mut self, memory: &mut InMemory, now: u64) -> Result<(), PowerCut> {
        let Some(time) = memory.guard.to_keep(memory.moment(now)) else {
            return Ok(());
        };
        self.disk
            .write(&mut self.power, |disk| disk.clock = Some(time))?;
        memory.guard.kept(time);
        Ok(())
    }

    fn next_look(&self, memory: &InMemory, now: u64) -> u64 {
        let is_settled = memory.session.is_some()
            && memory.machine.problem().is_none()
            && self.disk.slots.candidate().is_none();
        if is_settled {
            return now + IDLE;
        }
        // Of the many attempts during a long outage the last few are enough.
        let pause = memory.wait_until.saturating_sub(now);
        match memory.away_until {
            Some(back) if pause >= 140 => memory.wait_until.max(back.saturating_sub(pause)),
            _ => memory.wait_until,
        }
    }

    /// A session, a certificate that is valid, and modules that run.
    pub fn require_health(&self, world: &World, now: u64) {
        let number = self.number;
        let memory = self.memory.as_ref();
        let session = memory.and_then(|memory| memory.session.as_ref());
        let problem = memory.and_then(|memory| memory.machine.problem());
        let session = session.unwrap_or_else(|| panic!("{number} has no session: {problem:?}"));
        let opened = world.connect(number, &session.host, &session.certificate, (at(now), now));
        assert_eq!(opened, Ok(()), "{number}");
        let active = self.disk.slots.active().map(|active| &active.certificate);
        assert_eq!(active, Some(&session.certificate), "{number}");
        assert!(session.certificate.not_after > now, "{number}");
        assert_eq!(self.engine.running(), 2, "{number}");
    }
}

fn start_moment(wrong_wall: Option<i64>, now: u64) -> Moment {
    Moment {
        wall: wrong_wall.map_or_else(|| at(now), Timestamp::from_unix_seconds),
        uptime: Duration::ZERO,
    }
}

fn credential(
    key: u32,
    certificate: Certificate,
    now: u64,
) -> device::renewal::Credential<u32, Certificate> {
    device::renewal::Credential {
        key,
        not_before: at(now),
        not_after: at(certificate.not_after),
        certificate,
    }
}
