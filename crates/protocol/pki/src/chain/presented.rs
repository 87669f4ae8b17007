//! What clients show, parsed and not yet trusted.

use std::sync::Arc;

use super::{ChainError, MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES, SeenIssuers};
use crate::Certificate;

/// What a client showed in its TLS handshake: parsed, not trusted. The leaf comes
/// first; it always exists.
#[derive(Debug, Clone)]
pub struct PresentedChain {
    leaf: Certificate,
    issuers: Vec<Certificate>,
}

/// A chain that could not be read, with the certificates that could, so that the log and the
/// operator can say what was presented.
#[derive(Debug, Clone)]
pub struct UnreadChain {
    error: ChainError,
    read: Vec<Certificate>,
}

impl UnreadChain {
    /// Why it is not read.
    #[must_use]
    pub fn error(&self) -> &ChainError {
        &self.error
    }

    /// Those of its certificates that could be read, in their order, at most
    /// [`MAX_CHAIN_CERTIFICATES`].
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.read
    }
}

impl PresentedChain {
    /// Parses DER certificates, leaf first, as TLS hands them over. What was `seen` among other
    /// clients' issuers is not parsed again.
    ///
    /// # Errors
    /// When `certificates` is empty, has more than [`MAX_CHAIN_CERTIFICATES`], they have more than
    /// [`MAX_CHAIN_BYTES`], or one of them is not a certificate.
    pub fn new<D: AsRef<[u8]>>(certificates: &[D], seen: &SeenIssuers) -> Result<Self, ChainError> {
        Self::read(certificates, seen).map_err(|unread| unread.error)
    }

    /// The same, with what could be read.
    pub fn read<D: AsRef<[u8]>>(
        certificates: &[D],
        seen: &SeenIssuers,
    ) -> Result<Self, Box<UnreadChain>> {
        let count = certificates.len();
        let bytes: usize = certificates.iter().map(|der| der.as_ref().len()).sum();
        let mut error = match count {
            0 => Some(ChainError::Empty),
            _ if count > MAX_CHAIN_CERTIFICATES => Some(ChainError::TooLong { count }),
            _ if bytes > MAX_CHAIN_BYTES => Some(ChainError::TooLarge { bytes }),
            _ => None,
        };
        let mut read = Vec::with_capacity(count.min(MAX_CHAIN_CERTIFICATES));
        let mut left = MAX_CHAIN_BYTES;
        for (index, der) in certificates.iter().take(MAX_CHAIN_CERTIFICATES).enumerate() {
            let der = der.as_ref();
            let Some(rest) = left.checked_sub(der.len()) else {
                break;
            };
            left = rest;
            let parsed = match index {
                0 => Certificate::from_der(der),
                _ => seen.parse(der),
            };
            match parsed {
                Ok(certificate) => read.push(certificate),
                Err(source) => {
                    let position = index + 1;
                    error.get_or_insert(ChainError::Unparsable { position, source });
                }
            }
        }
        match error {
            None => Ok(Self::from_certificates(read).map_err(|error| UnreadChain {
                error,
                read: Vec::new(),
            })?),
            Some(error) => Err(Box::new(UnreadChain { error, read })),
        }
    }

    /// From certificates that are parsed already, for example those of a PEM bundle; leaf first.
    ///
    /// # Errors
    /// When there is none or there are more than [`MAX_CHAIN_CERTIFICATES`].
    pub fn from_certificates(certificates: Vec<Certificate>) -> Result<Self, ChainError> {
        let count = certificates.len();
        if count > MAX_CHAIN_CERTIFICATES {
            return Err(ChainError::TooLong { count });
        }
        let mut all = certificates.into_iter();
        let leaf = all.next().ok_or(ChainError::Empty)?;
        let issuers = all.collect();
        Ok(Self { leaf, issuers })
    }

    /// The certificate whose key the client proved to hold.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Everything after the leaf, in the order shown: normally the nearest issuer first.
    #[must_use]
    pub fn issuers(&self) -> &[Certificate] {
        &self.issuers
    }
}

/// The certificates of a connection's peer as they travel to request handlers; nothing when
/// the client showed none.
#[derive(Debug, Clone, Default)]
pub struct PeerChain(Option<Result<Arc<PresentedChain>, Arc<UnreadChain>>>);

impl PeerChain {
    /// The chain that the client showed.
    #[must_use]
    pub fn of(chain: impl Into<Arc<PresentedChain>>) -> Self {
        Self(Some(Ok(chain.into())))
    }

    /// What the client showed and nobody reads.
    #[must_use]
    pub fn unread(chain: impl Into<Arc<UnreadChain>>) -> Self {
        Self(Some(Err(chain.into())))
    }

    /// The chain, if there is one that proves something.
    #[must_use]
    pub fn presented(&self) -> Option<&Arc<PresentedChain>> {
        self.0.as_ref()?.as_ref().ok()
    }

    /// What was shown and is not read.
    #[must_use]
    pub fn not_read(&self) -> Option<&Arc<UnreadChain>> {
        self.0.as_ref()?.as_ref().err()
    }
}
