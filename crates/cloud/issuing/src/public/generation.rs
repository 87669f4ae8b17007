use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ids::{Etag, IssuerName, Thumbprint};
use pki::{CaHashes, Certificate, PemError};
use provisioning::{IssuerRecord, Provisioning};
use wire::public_pki::{Generation, PublicPath};

use super::PublicError;

/// Issuers that are kept, with their CA certificates read. A server has few.
const KEPT: usize = 256;

/// A CA of an issuer, with what its paths need.
#[derive(Debug)]
pub(super) struct PublishedCa {
    pub(super) id_scope: String,
    pub(super) issuer: IssuerName,
    pub(super) generation: Generation,
    /// SHA-256 of the issuer's CA certificates with this key, the newest first.
    pub(super) authorities: Vec<Thumbprint>,
    /// The newest of them.
    pub(super) certificate: Certificate,
    /// It and those above it, PEM.
    pub(super) chain: String,
    pub(super) hashes: CaHashes,
    no_crl: bool,
}

/// By what lists and answers of a CA are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CaId {
    id_scope: String,
    issuer: String,
    generation: Generation,
}

impl PublishedCa {
    pub(super) fn key(&self) -> CaId {
        CaId {
            id_scope: self.id_scope.clone(),
            issuer: self.issuer.folded(),
            generation: self.generation.clone(),
        }
    }

    pub(super) fn signs_lists(&self) -> bool {
        !self.no_crl && self.certificate.may_sign_crls()
    }

    /// SHA-256 of the certificate whose key signs.
    pub(super) fn signer(&self) -> Thumbprint {
        self.certificate.sha256()
    }
}

/// The CAs of one issuer, the newest first.
type OfIssuer = Arc<Vec<Arc<PublishedCa>>>;

/// The CAs of issuers, read once for each version of the issuer.
#[derive(Default)]
pub(super) struct Generations(Mutex<HashMap<(String, String), (Etag, OfIssuer)>>);

impl Generations {
    /// The CA that a path names, and the service that has it.
    pub(super) fn find(
        &self,
        provisioning: &Provisioning,
        path: &PublicPath<'_>,
    ) -> Result<Option<(Provisioning, Arc<PublishedCa>)>, PublicError> {
        if let Some(ca) = self.in_service(provisioning, path)? {
            return Ok(Some((provisioning.clone(), ca)));
        }
        if path.generation.is_none() {
            return Ok(None);
        }
        for service in provisioning.services().iter() {
            let service = provisioning.for_scope(service.id_scope.as_str());
            if let Some(service) = service
                && let Some(ca) = self.in_service(&service, path)?
            {
                return Ok(Some((service, ca)));
            }
        }
        Ok(None)
    }

    fn in_service(
        &self,
        service: &Provisioning,
        path: &PublicPath<'_>,
    ) -> Result<Option<Arc<PublishedCa>>, PublicError> {
        let Some(record) = service.issuer(&path.issuer)? else {
            return Ok(None);
        };
        let all = self.of_issuer(service, &record)?;
        let mut all = all.iter();
        let found = match &path.generation {
            None => all.next(),
            Some(generation) => all.find(|ca| ca.generation == *generation),
        };
        Ok(found.cloned())
    }

    /// The CAs of all issuers of a service.
    pub(super) fn all(&self, service: &Provisioning) -> Result<Vec<Arc<PublishedCa>>, PublicError> {
        let mut found = Vec::new();
        for record in service.issuers()? {
            found.extend(self.of_issuer(service, &record)?.iter().cloned());
        }
        Ok(found)
    }

    fn of_issuer(
        &self,
        service: &Provisioning,
        record: &IssuerRecord,
    ) -> Result<OfIssuer, PublicError> {
        let id_scope = service.service().id_scope.to_string();
        let key = (id_scope, record.name.folded());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((etag, all)) = kept.get(&key)
            && *etag == record.etag
        {
            return Ok(all.clone());
        }
        let all = Arc::new(read(&key.0, record)?);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, (record.etag.clone(), all.clone()));
        Ok(all)
    }
}

fn read(id_scope: &str, record: &IssuerRecord) -> Result<Vec<Arc<PublishedCa>>, PemError> {
    let mut found: Vec<PublishedCa> = Vec::new();
    for one in record.generations.all() {
        let chain = Certificate::parse_pem_bundle(&one.chain)?;
        let certificate = chain.first().ok_or(PemError::NoCertificate)?.clone();
        let generation = Generation::of(&certificate.key_identifier());
        // A CA that was renewed with its key is the same for those that verify.
        let same = found.iter_mut().find(|ca| ca.generation == generation);
        if let Some(same) = same {
            same.authorities.push(one.thumbprint);
            continue;
        }
        found.push(PublishedCa {
            id_scope: id_scope.to_owned(),
            issuer: record.name.clone(),
            generation,
            authorities: vec![one.thumbprint],
            hashes: CaHashes::of(&certificate),
            certificate,
            chain: one.chain.clone(),
            no_crl: record.settings.no_crl,
        });
    }
    Ok(found.into_iter().map(Arc::new).collect())
}
