use pki::{Certificate, PresentedChain, SeenIssuers};

/// A self-signed certificate, valid from 2026 to `last_year`, as a client presents it.
pub fn self_signed(name: &str, last_year: i32) -> PresentedChain {
    presented(name, last_year, |parameters| {
        parameters.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    })
}

/// A self-signed certificate as `openssl req -x509` makes it: of a CA, for
/// no purpose in particular.
pub fn self_signed_ca(name: &str, last_year: i32) -> PresentedChain {
    presented(name, last_year, |parameters| {
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    })
}

fn presented(
    name: &str,
    last_year: i32,
    shape: impl FnOnce(&mut rcgen::CertificateParams),
) -> PresentedChain {
    let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(last_year, 1, 1);
    shape(&mut parameters);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    PresentedChain::new(&[certificate.der()], &SeenIssuers::default()).unwrap()
}

/// A CA whose certificates a test makes.
pub struct Ca {
    pub certificate: Certificate,
    signer: rcgen::Issuer<'static, rcgen::KeyPair>,
    /// The certificates of the CAs above it, the nearest first.
    above: Vec<Certificate>,
}

impl Ca {
    pub fn root(name: &str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = ca_params(name);
        let root = params.self_signed(&key).unwrap();
        Self {
            certificate: Certificate::from_der(root.der()).unwrap(),
            signer: rcgen::Issuer::new(params, key),
            above: Vec::new(),
        }
    }

    pub fn intermediate(&self, name: &str, serial: u8) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = ca_params(name);
        params.serial_number = Some(rcgen::SerialNumber::from(vec![1, serial]));
        let certificate = params.signed_by(&key, &self.signer).unwrap();
        Self {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            signer: rcgen::Issuer::new(params, key),
            above: self.chain(),
        }
    }

    /// A certificate of a device, as the device presents it.
    pub fn leaf(&self, name: &str, serial: u8) -> PresentedChain {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = named(name);
        params.serial_number = Some(rcgen::SerialNumber::from(vec![1, serial]));
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&key, &self.signer).unwrap();
        let above = self.chain();
        let mut chain = vec![leaf.der().as_ref()];
        chain.extend(above.iter().map(Certificate::der));
        PresentedChain::new(&chain, &SeenIssuers::default()).unwrap()
    }

    fn chain(&self) -> Vec<Certificate> {
        let mut chain = vec![self.certificate.clone()];
        chain.extend(self.above.iter().cloned());
        chain
    }
}

fn named(name: &str) -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca_params(name: &str) -> rcgen::CertificateParams {
    let mut params = named(name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params
}
