use std::collections::BTreeSet;

use x509_parser::der_parser::Oid as DerOid;
use x509_parser::extensions::ParsedExtension;

/// The content of an OID.
pub(crate) type Oid = Box<[u8]>;

/// The object identifier anyPolicy, 2.5.29.32.0, in DER.
pub(crate) const ANY_POLICY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

/// What the four extensions about certificate policies say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Policies {
    /// certificatePolicies, without their qualifiers.
    pub(crate) named: Option<BTreeSet<Oid>>,
    /// policyMappings: what a policy is called below.
    pub(crate) mappings: Vec<(Oid, Oid)>,
    pub(crate) require_explicit: Option<u32>,
    pub(crate) inhibit_mapping: Option<u32>,
    pub(crate) inhibit_any: Option<u32>,
    /// Whether there is any rule in them; names alone are none.
    pub(crate) constrains: bool,
}

impl Policies {
    pub(super) fn take(&mut self, extension: &ParsedExtension<'_>) {
        let oid = |oid: &DerOid<'_>| Oid::from(oid.as_bytes());
        match extension {
            ParsedExtension::CertificatePolicies(policies) => {
                self.named = Some(policies.iter().map(|one| oid(&one.policy_id)).collect());
            }
            ParsedExtension::PolicyMappings(mappings) => {
                let mappings = mappings.mappings.iter();
                self.mappings = mappings
                    .map(|one| {
                        (
                            oid(&one.issuer_domain_policy),
                            oid(&one.subject_domain_policy),
                        )
                    })
                    .collect();
                self.constrains = true;
            }
            ParsedExtension::PolicyConstraints(constraints) => {
                self.require_explicit = constraints.require_explicit_policy;
                self.inhibit_mapping = constraints.inhibit_policy_mapping;
                self.constrains = true;
            }
            ParsedExtension::InhibitAnyPolicy(inhibit) => {
                self.inhibit_any = Some(inhibit.skip_certs);
                self.constrains = true;
            }
            _ => {}
        }
    }
}
