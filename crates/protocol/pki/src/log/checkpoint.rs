use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::proof::parse_hash;
use super::tree::LogHash;

/// Longest note that is read.
const MAX_NOTE_BYTES: usize = 64 * 1024;
/// The kind of signature: Ed25519 over the text (c2sp.org/signed-note).
const KIND: u8 = 1;
/// What a line of a signature begins with: an em dash and a blank.
const DASH: &str = "\u{2014} ";

/// Why a note, or the key for it, is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text has another form.
    #[error("it is not a checkpoint in the form of c2sp.org/tlog-checkpoint")]
    Malformed,
    /// No signature is of the key.
    #[error("it has no signature of this key")]
    NotSigned,
    /// A signature of the key does not hold.
    #[error("its signature does not hold")]
    BadSignature,
    /// The key's text has another form.
    #[error("a key is NAME+HASH+BASE64, as `log show` prints it")]
    BadKey,
    /// No key can be made, or the bytes are not one.
    #[error("it is not an Ed25519 private key in PKCS#8")]
    BadPrivateKey,
}

/// The head of a log: how many leaves it has, and the hash of their tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// How many leaves there are.
    pub size: u64,
    /// The hash of the tree.
    pub root: LogHash,
}

impl Checkpoint {
    fn text(&self) -> String {
        let root = STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next().filter(|origin| !origin.is_empty())?;
        let digits = lines.next()?;
        let size: u64 = digits.parse().ok()?;
        // One number has one spelling.
        (size.to_string() == digits).then_some(())?;
        Some(Self {
            origin: origin.to_owned(),
            size,
            root: parse_hash(lines.next()?)?,
        })
    }
}

fn key_hash(name: &str, public: &[u8]) -> [u8; 4] {
    let text = [name.as_bytes(), b"\n", &[KIND], public].concat();
    let mut hash = [0; 4];
    hash.copy_from_slice(&digest(&SHA256, &text).as_ref()[..4]);
    hash
}

/// The private key of a log.
pub struct LogSigner(Ed25519KeyPair);

impl LogSigner {
    /// Makes a key.
    pub fn generate() -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::generate();
        pair.map(Self).map_err(|_| NoteError::BadPrivateKey)
    }

    /// Reads a key, PKCS#8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_pkcs8(der);
        pair.map(Self).map_err(|_| NoteError::BadPrivateKey)
    }

    /// The key as PKCS#8 in DER.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, NoteError> {
        let der = self.0.to_pkcs8().map_err(|_| NoteError::BadPrivateKey)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public half, for the log of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> LogKey {
        LogKey {
            name: name.to_owned(),
            public: self.0.public_key().as_ref().to_vec(),
        }
    }

    /// Signs a head; the name of the key is the origin.
    #[must_use]
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.text();
        let hash = key_hash(&checkpoint.origin, self.0.public_key().as_ref());
        let signature = self.0.sign(text.as_bytes());
        let line = STANDARD.encode([&hash, signature.as_ref()].concat());
        format!("{text}\n{DASH}{} {line}\n", checkpoint.origin)
    }
}

impl std::fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogSigner(redacted)")
    }
}

/// The public key of a log, as verifiers keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    name: String,
    public: Vec<u8>,
}

impl LogKey {
    /// Reads `NAME+HASH+BASE64`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        // Base64 may have a plus sign, a name may not.
        let read = |text: &str| {
            let (name, rest) = text.split_once('+')?;
            let (hash, key) = rest.split_once('+')?;
            let key = STANDARD.decode(key).ok()?;
            let public = key.strip_prefix(&[KIND])?.to_vec();
            let wanted: String = key_hash(name, &public).iter().map(hex).collect();
            let name = name.to_owned();
            let is_one = wanted.eq_ignore_ascii_case(hash) && public.len() == 32;
            is_one.then_some(Self { name, public })
        };
        read(text.trim()).ok_or(NoteError::BadKey)
    }

    /// Reads a signed note and verifies that the log signed it.
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Malformed);
        }
        let at = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let hash = key_hash(&self.name, &self.public);
        let own = signatures.lines().find_map(|line| {
            let (name, signature) = line.strip_prefix(DASH)?.rsplit_once(' ')?;
            let signature = STANDARD.decode(signature).ok()?;
            let signature = signature.strip_prefix(&hash)?.to_vec();
            (name == self.name).then_some(signature)
        });
        let own = own.ok_or(NoteError::NotSigned)?;
        UnparsedPublicKey::new(&ED25519, &self.public)
            .verify(text.as_bytes(), &own)
            .map_err(|_| NoteError::BadSignature)?;
        let checkpoint = Checkpoint::parse(text).ok_or(NoteError::Malformed)?;
        match checkpoint.origin == self.name {
            true => Ok(checkpoint),
            false => Err(NoteError::NotSigned),
        }
    }
}

impl std::fmt::Display for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hash: String = key_hash(&self.name, &self.public).iter().map(hex).collect();
        let key = STANDARD.encode([&[KIND], self.public.as_slice()].concat());
        write!(f, "{}+{hash}+{key}", self.name)
    }
}

fn hex(byte: &u8) -> String {
    format!("{byte:02x}")
}
