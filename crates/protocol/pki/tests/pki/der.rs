//! DER that the library of the tests does not write.

use rcgen::{CertificateParams, CustomExtension};

/// One DER element: tag, length, content.
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match length {
        0..=0x7f => bytes.push(u8::try_from(length).unwrap()),
        0x80..=0xff => bytes.extend([0x81, u8::try_from(length).unwrap()]),
        _ => bytes.extend([
            0x82,
            u8::try_from(length >> 8).unwrap(),
            u8::try_from(length & 0xff).unwrap(),
        ]),
    }
    bytes.extend(content);
    bytes
}

pub(crate) fn oid(last: &[u8]) -> Vec<u8> {
    der(6, last)
}

pub(crate) fn extension(arcs: &[u64], content: Vec<u8>, critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(arcs, content);
    extension.set_criticality(critical);
    extension
}

pub(crate) fn with(
    mut params: CertificateParams,
    extensions: Vec<CustomExtension>,
) -> CertificateParams {
    params.custom_extensions = extensions;
    params
}
