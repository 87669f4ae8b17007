//! The addresses of what a CA publishes, in the certificates that it issues.

use rcgen::{CrlDistributionPoint, CustomExtension};

use super::PreparedRequest;
use crate::der::{Writer, tag};

/// 1.3.6.1.5.5.7.1.1.
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// 1.3.6.1.5.5.7.48.1.
const ID_AD_OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
/// 1.3.6.1.5.5.7.48.2.
const ID_AD_CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];

/// Where those that verify a certificate find what they need for it: URLs in ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The CA certificate in DER: caIssuers of authorityInfoAccess.
    pub ca_certificate: String,
    /// The OCSP responder, in the same extension.
    pub ocsp: String,
    /// The revocation list that covers the certificate: cRLDistributionPoints. `None` for a CA that
    /// signs no lists.
    pub crl: Option<String>,
}

impl PreparedRequest<'_> {
    /// The same certificate with these addresses in it.
    #[must_use]
    pub fn published_at(mut self, publication: &Publication) -> Self {
        let params = &mut self.prepared.params;
        let point = |url: &String| CrlDistributionPoint {
            uris: vec![url.clone()],
        };
        params.crl_distribution_points = publication.crl.iter().map(point).collect();
        params
            .custom_extensions
            .push(CustomExtension::from_oid_content(
                AUTHORITY_INFO_ACCESS,
                access_descriptions(publication),
            ));
        self
    }
}

fn access_descriptions(publication: &Publication) -> Vec<u8> {
    let mut der = Writer::default();
    der.sequence(|der| {
        for (method, url) in [
            (ID_AD_OCSP, &publication.ocsp),
            (ID_AD_CA_ISSUERS, &publication.ca_certificate),
        ] {
            der.sequence(|der| {
                der.element(tag::OID, method);
                // uniformResourceIdentifier.
                der.element(tag::context(6), url.as_bytes());
            });
        }
    });
    der.finish()
}
