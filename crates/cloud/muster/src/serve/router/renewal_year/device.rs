use std::sync::Arc;

use ::device::renewal::{Credential, NextStep, Slots};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::{Certificate, PresentedChain};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::POLICY;
use super::world::{Proof, Unavailable, World};

/// A key pair, and which one it is.
#[derive(Clone)]
pub struct Key(u32, Arc<KeyPair>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
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
    keys: u32,
    /// The device's own number from 0 to 1.
    chance: f64,
    random: StdRng,
    /// Steps until it loses power.
    lives: u32,
    pub renewals: u32,
    pub lost_answers: u32,
    pub deaths: u32,
}

impl SimulatedDevice {
    /// A device that the production line sets up.
    pub async fn enroll(world: &World, id: String, seed: u64) -> Self {
        let number = id
            .bytes()
            .fold(0_u64, |sum, byte| sum * 31 + u64::from(byte));
        let mut random = StdRng::seed_from_u64(seed ^ number);
        let key = Key(1, Arc::new(KeyPair::generate().unwrap()));
        let basic = STANDARD.encode(format!("line-1:{}", world.password));
        let basic = format!("Basic {basic}");
        let request = csr(&id, &key);
        let issued = world
            .enroll("simpleenroll", &request, Proof::Password(&basic))
            .await;
        let first = credential(key, issued.unwrap());
        assert!(world.register(&id, &first.certificate).await.unwrap());
        Self {
            disk: Slots::first(first),
            connected: false,
            keys: 1,
            chance: random.random(),
            lives: random.random_range(5..60),
            random,
            id,
            renewals: 0,
            lost_answers: 0,
            deaths: 0,
        }
    }

    /// Works until there is nothing to do, something is not there, or it loses power. Says whether
    /// it changed anything.
    pub async fn tick(&mut self, world: &World) -> bool {
        let before = (self.deaths, self.lost_answers, self.renewals);
        let stopped = match self.connected {
            true => Ok(()),
            false => self.connect(world).await,
        };
        let worked = match stopped {
            Ok(()) => self.renew(world).await,
            Err(stop) => Err(stop),
        };
        if let Err(Stop::Died) = worked {
            self.deaths += 1;
            self.connected = false;
            self.lives = self.random.random_range(5..60);
        }
        let next = self.disk.next_step(POLICY, self.chance, world.now());
        let is_waiting = matches!(next, NextStep::Wait(_));
        !is_waiting || before != (self.deaths, self.lost_answers, self.renewals)
    }

    /// Opens the hub with the newest credential that it accepts. When it accepts none, the device
    /// registers with each.
    async fn connect(&mut self, world: &World) -> Result<(), Stop> {
        let all: Vec<_> = self.disk.to_open_with(world.now()).cloned().collect();
        for register_first in [false, true] {
            for credential in &all {
                if register_first {
                    self.register(world, &credential.certificate).await?;
                }
                if self.open(world, &credential.certificate).await? {
                    self.connected = true;
                    if credential.key != self.disk.active().key {
                        self.renewals += 1;
                        self.write(self.disk.clone().with_proven_candidate())?;
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
            let written = match disk.next_step(POLICY, self.chance, world.now()) {
                NextStep::Wait(_) => return Ok(()),
                NextStep::MakeKey => {
                    self.keys += 1;
                    let key = Key(self.keys, Arc::new(KeyPair::generate().unwrap()));
                    disk.clone().with_key(key)
                }
                NextStep::Request(key) => {
                    let issued = self.request(world, key).await?;
                    disk.with_certificate(credential(key.clone(), issued))
                        .unwrap()
                }
                NextStep::Prove(candidate) => {
                    self.prove(world, &candidate.certificate).await?;
                    self.renewals += 1;
                    disk.clone().with_proven_candidate()
                }
            };
            self.write(written)?;
        }
    }

    /// Over EST, with the active certificate, as Azure's daemon does or as RFC 7030 says.
    async fn request(&mut self, world: &World, key: &Key) -> Result<Certificate, Stop> {
        let operation = match self.random.random_bool(0.5) {
            true => "simplereenroll",
            false => "simpleenroll",
        };
        let current = self.disk.active().certificate.clone();
        let request = csr(&self.id, key);
        let issued = world
            .enroll(operation, &request, Proof::Certificate(&current))
            .await;
        self.arrives(issued)
    }

    /// The hub learns of the candidate when the device registers with it.
    async fn prove(&mut self, world: &World, candidate: &PresentedChain) -> Result<(), Stop> {
        if !self.open(world, candidate).await? {
            self.register(world, candidate).await?;
            if !self.open(world, candidate).await? {
                return Err(Stop::Unavailable);
            }
        }
        Ok(())
    }

    async fn register(&mut self, world: &World, chain: &PresentedChain) -> Result<bool, Stop> {
        let answer = world.register(&self.id, chain).await;
        self.arrives(answer)
    }

    async fn open(&mut self, world: &World, chain: &PresentedChain) -> Result<bool, Stop> {
        let answer = world.connect(&self.id, chain).await;
        self.arrives(answer)
    }

    /// The answer of a service, unless it is lost on its way or the device loses power first.
    fn arrives<T>(&mut self, answer: Result<T, Unavailable>) -> Result<T, Stop> {
        let answer = answer?;
        self.live()?;
        if self.random.random_bool(0.05) {
            self.lost_answers += 1;
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

fn credential(key: Key, issued: Certificate) -> Credential<Key, PresentedChain> {
    Credential {
        key,
        not_before: issued.not_before(),
        not_after: issued.not_after(),
        certificate: PresentedChain::from_certificates(vec![issued]).unwrap(),
    }
}

fn csr(id: &str, Key(_, pair): &Key) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, id);
    params.serialize_request(&**pair).unwrap().der().to_vec()
}
