//! Where we differ from the suite on purpose. Most of it is the profile of the public web
//! (CA/Browser Forum), which its cases of the name `webpki` ask for on top of RFC 5280.

/// Cases by the reason for which we differ.
pub const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "the suite has opposite answers for this chain under RFC 5280 and under the web's profile; \
         RFC 5280, 4.2.1.10 says that nameConstraints must be critical",
        &["webpki::nc::permitted-dns-match-noncritical"],
    ),
    (
        "the trust anchor is signed by a CA outside the path: its authorityKeyIdentifier would \
         lead nowhere, and cve::cve-2024-0567 of the same form is expected to succeed",
        &["rfc5280::aki::cross-signed-root-missing-aki"],
    ),
    (
        "a CA certificate is never the identity of a device or a server: who holds a CA's key \
         could issue such identities; webpki::ca-as-leaf expects that, too",
        &[
            "rfc5280::ca-as-leaf",
            "pathlen::validation-ignores-pathlen-in-leaf",
        ],
    ),
    (
        "hosts of containers and device names have underscores; TLS clients take them, and no \
         check depends on their absence",
        &["rfc5280::san::underscore-dns"],
    ),
    (
        "a rule of the public web: authorityKeyIdentifier of a root; RFC 5280, 4.2.1.1 lets a \
         certificate that signed itself leave it out or name itself in full",
        &[
            "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-authoritycertissuer",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-all-fields",
        ],
    ),
    (
        "a rule of the public web: the common name repeats a subjectAltName; a server's common \
         name is never compared here (RFC 9525), and a device's is its registration id",
        &[
            "webpki::cn::case-mismatch",
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch",
            "webpki::cn::not-in-san",
            "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch",
        ],
    ),
    (
        "a rule of the public web: which extendedKeyUsage may stand where; RFC 5280, 4.2.1.12 \
         permits anyExtendedKeyUsage, a critical one, none at all, and one in a CA certificate",
        &[
            "webpki::eku::ee-anyeku",
            "webpki::eku::ee-critical-eku",
            "webpki::eku::ee-without-eku",
            "webpki::eku::root-has-eku",
        ],
    ),
    (
        "a rule of the public web: no wildcard below a public suffix; a private CA issues below \
         domains of its owner, and there is no list of those",
        &[
            "webpki::san::public-suffix-multi-label-wildcard-san",
            "webpki::san::public-suffix-private-namespace-wildcard-san",
        ],
    ),
    (
        "a rule of the public web: subjectAltName is critical only beside an empty subject; RFC \
         5280, 4.2.1.6 recommends it, and what is critical is understood",
        &["webpki::san::san-critical-with-nonempty-subject"],
    ),
    (
        "a rule of the public web: the length of an RSA key is a multiple of 8; 2052 bits are \
         stronger than 2048",
        &[
            "webpki::forbidden-rsa-not-divisible-by-8-in-root",
            "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
        ],
    ),
];
