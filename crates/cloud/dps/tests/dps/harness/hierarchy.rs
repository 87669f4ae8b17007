//! Certificates of a toy factory: a root, intermediates, leaves; also the unusable kinds that
//! our CA would not issue.

use pki::{Certificate, PresentedChain};
use rcgen::string::{BmpString, UniversalString};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};

/// Years of validity, from 1 January of the first to 1 January of the second.
type Years = (i32, i32);

/// The usual life of a certificate; the tests' clock stands in 2026.
pub const VALID: Years = (2020, 2040);
pub const EXPIRED: Years = (2020, 2025);
pub const NOT_YET: Years = (2035, 2040);

/// A CA of the factory.
pub struct Ca {
    pub certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn named(name: &str, years: Years) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca(name: &str, years: Years) -> CertificateParams {
    let mut params = named(name, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(name: &str, years: Years) -> CertificateParams {
    let mut params = named(name, years);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn parsed(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

impl Ca {
    pub fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = ca(name, VALID);
        let certificate = parsed(params.self_signed(&key).unwrap().der());
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A CA that another issuer issued for this key.
    pub fn of(certificate: Certificate, key: KeyPair) -> Self {
        let name = certificate.subject_common_name().unwrap().to_owned();
        Self {
            certificate,
            issuer: Issuer::new(ca(&name, VALID), key),
        }
    }

    /// The key of another CA, certified by this one.
    pub fn cross(&self, other: &Self) -> Certificate {
        let name = other.certificate.subject_common_name().unwrap();
        let params = ca(name, VALID);
        parsed(
            params
                .signed_by(other.issuer.key(), &self.issuer)
                .unwrap()
                .der(),
        )
    }

    /// A root that allows so many CAs below it.
    pub fn root_with_path_length(name: &str, length: u8) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = ca(name, VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        let certificate = parsed(params.self_signed(&key).unwrap().der());
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// One that issues although its own certificate does not make it a CA.
    pub fn pretender(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = leaf(name, VALID);
        let certificate = parsed(params.signed_by(&key, &self.issuer).unwrap().der());
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A leaf for servers only.
    pub fn server_leaf(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf(name, VALID);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parsed(params.signed_by(&key, &self.issuer).unwrap().der())
    }

    /// A leaf with an extension that is critical and of this content.
    pub fn leaf_with(&self, name: &str, oid: &[u64], content: &[u8]) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
        extension.set_criticality(true);
        let mut params = leaf(name, VALID);
        params.custom_extensions = vec![extension];
        parsed(params.signed_by(&key, &self.issuer).unwrap().der())
    }

    /// A leaf whose name is a string of sixteen or thirty-two bits a letter, and whose issuer is
    /// written in another string type.
    pub fn leaf_in_other_letters(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf("", VALID);
        let value = UniversalString::try_from(name).unwrap();
        params.distinguished_name = DistinguishedName::new();
        let value = DnValue::UniversalString(value);
        params.distinguished_name.push(DnType::CommonName, value);
        let issuer = self.certificate.subject();
        let issuer = BmpString::try_from(issuer.trim_start_matches("CN=")).unwrap();
        let mut by = ca("", VALID);
        by.distinguished_name = DistinguishedName::new();
        let issuer = DnValue::BmpString(issuer);
        by.distinguished_name.push(DnType::CommonName, issuer);
        let by = Issuer::from_params(&by, self.issuer.key());
        parsed(params.signed_by(&key, &by).unwrap().der())
    }

    /// A leaf whose subject has no common name.
    pub fn nameless_leaf(&self) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf("", VALID);
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "factory");
        parsed(params.signed_by(&key, &self.issuer).unwrap().der())
    }

    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_valid(name, VALID)
    }

    pub fn intermediate_valid(&self, name: &str, years: Years) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = ca(name, years);
        let certificate = parsed(params.signed_by(&key, &self.issuer).unwrap().der());
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// Its revocation list of this number, made in 2026 and good until 1 July.
    pub fn crl(&self, number: u64, revoked: &[(&Certificate, RevocationReason)]) -> Vec<u8> {
        let entry = |(certificate, reason): &(&Certificate, RevocationReason)| {
            let serial = certificate.serial().unwrap();
            RevokedCertParams {
                serial_number: SerialNumber::from_slice(serial.as_bytes()),
                revocation_time: date_time_ymd(2026, 5, 1),
                reason_code: Some(*reason),
                invalidity_date: None,
            }
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 5, 2),
            next_update: date_time_ymd(2026, 7, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    pub fn leaf(&self, name: &str) -> Certificate {
        self.leaf_valid(name, VALID)
    }

    pub fn leaf_valid(&self, name: &str, years: Years) -> Certificate {
        let key = KeyPair::generate().unwrap();
        parsed(
            leaf(name, years)
                .signed_by(&key, &self.issuer)
                .unwrap()
                .der(),
        )
    }
}

/// A leaf that signed itself, as individual enrollments may have.
pub fn self_signed(name: &str) -> Certificate {
    self_signed_valid(name, VALID)
}

pub fn self_signed_valid(name: &str, years: Years) -> Certificate {
    let key = KeyPair::generate().unwrap();
    parsed(leaf(name, years).self_signed(&key).unwrap().der())
}

/// What a device shows in its handshake.
pub fn chain(certificates: &[&Certificate]) -> PresentedChain {
    PresentedChain::from_certificates(certificates.iter().map(|c| (*c).clone()).collect()).unwrap()
}
