use pki::{PresentedChain, SeenIssuers};

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
