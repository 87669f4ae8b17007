use wire::service_api::identity::KeyText;
use zeroize::Zeroizing;

/// Where random bytes come from: the system's generator in programs, a seeded one in tests.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with randomness fit for keys.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator, through the thread-local generator of `rand`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), bytes);
    }
}

pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A key of 32 random bytes, as a hub generates them.
pub fn generate_key(entropy: &dyn Entropy) -> KeyText {
    let bytes = Zeroizing::new(random::<32>(entropy));
    KeyText::from_bytes(&*bytes).unwrap_or_else(|_| unreachable!("32 bytes are between 16 and 64"))
}
