mod at_hub;

use ::device::renewal::{NextStep, Slots};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::{Certificate, PresentedChain};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::POLICY;
use super::counts::Counts;
use super::key::Key;
use super::world::{Proof, Unavailable, World};

/// Who issues the certificates of a device after its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    Est,
    Hub,
    /// One of the two for each request, by chance.
    Either,
}

/// Why a device stops for now. All that it has is what is written.
enum Stop {
    /// It lost power.
    Died,
    Unavailable,
}

impl From<Unavailable> for Stop {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// A device with its disk.
pub struct SimulatedDevice {
    id: String,
    /// The slots as they are written: all that it has after a loss of power.
    disk: Slots<Key, PresentedChain>,
    connected: bool,
    issuer: Issuer,
    /// Who issued the candidate, and the active certificate if that was a renewal.
    candidate_issuer: Issuer,
    active_issuer: Option<Issuer>,
    keys: u32,
    requests: u32,
    sent_by_hub: Option<at_hub::Sent>,
    /// The device's own number from 0 to 1.
    chance: f64,
    random: StdRng,
    /// Steps until it loses power.
    lives: u32,
    pub counts: Counts,
}

impl SimulatedDevice {
    /// A device that the production line sets up: with a password of EST, or, when only the hub
    /// issues its certificates, with a key of its own and a certificate request as it registers.
    pub async fn enroll(world: &World, id: String, issuer: Issuer, seed: u64) -> Self {
        let number = id
            .bytes()
            .fold(0_u64, |sum, byte| sum * 31 + u64::from(byte));
        let mut random = StdRng::seed_from_u64(seed ^ number);
        let key = Key::generate(1, &id);
        let first = match issuer {
            Issuer::Hub => {
                let issued = world.register_with_request(&id, &key.csr).await;
                key.credential(issued)
            }
            Issuer::Est | Issuer::Either => {
                let basic = STANDARD.encode(format!("line-1:{}", world.password));
                let proof = format!("Basic {basic}");
                let proof = Proof::Password(&proof);
                let issued = world.enroll("simpleenroll", &key.csr, proof).await;
                let first = key.credential(issued.unwrap());
                assert!(world.register(&id, &first.certificate).await.unwrap());
                first
            }
        };
        Self {
            disk: Slots::first(first),
            connected: false,
            issuer,
            candidate_issuer: issuer,
            active_issuer: None,
            keys: 1,
            requests: 0,
            sent_by_hub: None,
            chance: random.random(),
            lives: random.random_range(5..60),
            random,
            id,
            counts: Counts::default(),
        }
    }

    /// Works until there is nothing to do, something is not there, or it loses power. Says whether
    /// it changed anything.
    pub async fn tick(&mut self, world: &World) -> bool {
        let before = self.counts;
        let stopped = match self.connected {
            true => Ok(()),
            false => self.connect(world).await,
        };
        let worked = match stopped {
            Ok(()) => self.renew(world).await,
            Err(stop) => Err(stop),
        };
        if let Err(Stop::Died) = worked {
            self.counts.deaths += 1;
            self.connected = false;
            self.lives = self.random.random_range(5..60);
        }
        let next = self.disk.next_step(POLICY, self.chance, world.now());
        let is_waiting = matches!(next, NextStep::Wait(_));
        !is_waiting || before != self.counts
    }

    /// Opens the hub with the newest credential that it accepts. When it accepts none, the device
    /// registers with each, if EST issues any.
    async fn connect(&mut self, world: &World) -> Result<(), Stop> {
        let all: Vec<_> = self.disk.to_open_with(world.now()).cloned().collect();
        let attempts: &[bool] = match self.issuer {
            Issuer::Hub => &[false],
            Issuer::Est | Issuer::Either => &[false, true],
        };
        for &register_first in attempts {
            for credential in &all {
                if register_first {
                    self.register(world, &credential.certificate).await?;
                }
                if self.open(world, &credential.certificate).await? {
                    self.connected = true;
                    if credential.key != self.disk.active().unwrap().key {
                        self.activate_candidate()?;
                    }
                    return Ok(());
                }
            }
        }
        Err(Stop::Unavailable)
    }

    async fn renew(&mut self, world: &World) -> Result<(), Stop> {
        loop {
            let disk = self.disk.clone();
            match disk.next_step(POLICY, self.chance, world.now()) {
                NextStep::Wait(_) => return Ok(()),
                NextStep::MakeKey => {
                    self.keys += 1;
                    let key = Key::generate(self.keys, &self.id);
                    self.write(disk.clone().with_key(key))?;
                }
                NextStep::Request(key) => {
                    let issued = self.request(world, key).await?;
                    let credential = key.clone().credential(issued);
                    self.write(disk.with_certificate(credential).unwrap())?;
                }
                NextStep::Prove(candidate) => {
                    self.prove(world, &candidate.certificate).await?;
                    self.activate_candidate()?;
                }
            }
        }
    }

    async fn request(&mut self, world: &World, key: &Key) -> Result<Certificate, Stop> {
        let issuer = match self.issuer {
            Issuer::Either if self.random.random_bool(0.5) => Issuer::Hub,
            Issuer::Either => Issuer::Est,
            one => one,
        };
        self.candidate_issuer = issuer;
        match issuer {
            Issuer::Hub => self.request_at_hub(world, key).await,
            Issuer::Est | Issuer::Either => self.request_over_est(world, key).await,
        }
    }

    /// With the active certificate, as Azure's daemon does or as RFC 7030 says.
    async fn request_over_est(&mut self, world: &World, key: &Key) -> Result<Certificate, Stop> {
        let operation = match self.random.random_bool(0.5) {
            true => "simplereenroll",
            false => "simpleenroll",
        };
        let current = self.disk.active().unwrap().certificate.clone();
        let issued = world
            .enroll(operation, &key.csr, Proof::Certificate(&current))
            .await;
        self.arrives(issued)
    }

    /// The hub knows what it issued, and learns of other candidates when the device registers.
    async fn prove(&mut self, world: &World, candidate: &PresentedChain) -> Result<(), Stop> {
        if self.open(world, candidate).await? {
            return Ok(());
        }
        assert!(
            self.candidate_issuer == Issuer::Est,
            "{}: the hub refuses a certificate that it issued",
            self.id
        );
        self.register(world, candidate).await?;
        match self.open(world, candidate).await? {
            true => Ok(()),
            false => Err(Stop::Unavailable),
        }
    }

    /// The hub has accepted the candidate.
    fn activate_candidate(&mut self) -> Result<(), Stop> {
        self.live()?;
        self.disk = self.disk.clone().with_proven_candidate();
        let issuer = self.candidate_issuer;
        match issuer {
            Issuer::Hub => self.counts.at_hub += 1,
            Issuer::Est | Issuer::Either => self.counts.over_est += 1,
        }
        let before = self.active_issuer.replace(issuer);
        self.counts.switches += u32::from(before.is_some_and(|before| before != issuer));
        self.live()
    }

    async fn register(&mut self, world: &World, chain: &PresentedChain) -> Result<bool, Stop> {
        let answer = world.register(&self.id, chain).await;
        self.arrives(answer)
    }

    async fn open(&mut self, world: &World, chain: &PresentedChain) -> Result<bool, Stop> {
        let session = world.open_session(&self.id, chain).await?;
        let is_open = session.is_some();
        if let Some(client) = session {
            client.end().await;
        }
        self.arrives(Ok(is_open))
    }

    /// The answer of a service, unless it is lost on its way or the device loses power first.
    fn arrives<T>(&mut self, answer: Result<T, Unavailable>) -> Result<T, Stop> {
        let answer = answer?;
        self.live()?;
        if self.random.random_bool(0.05) {
            self.counts.lost_answers += 1;
            return Err(Stop::Unavailable);
        }
        Ok(answer)
    }

    fn write(&mut self, slots: Slots<Key, PresentedChain>) -> Result<(), Stop> {
        self.live()?;
        self.disk = slots;
        self.live()
    }

    fn live(&mut self) -> Result<(), Stop> {
        self.lives -= 1;
        match self.lives {
            0 => Err(Stop::Died),
            _ => Ok(()),
        }
    }

    /// One of what is written opens the hub.
    pub async fn require_working_credential(&self, world: &World) {
        let now = world.now();
        for credential in self.disk.to_open_with(now) {
            if world.accepts(&self.id, &credential.certificate).await {
                return;
            }
        }
        panic!(
            "{} has no credential that works at {}",
            self.id,
            now.in_seconds()
        );
    }
}
