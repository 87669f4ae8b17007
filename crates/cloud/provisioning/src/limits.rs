//! How many there may be.

/// Hubs linked to a service.
pub const MAX_LINKED_HUBS: usize = 50;
/// Provisioning services of a data directory.
pub const MAX_SERVICES: usize = 100;
/// CA certificates uploaded to a service.
pub const MAX_CA_CERTIFICATES: usize = 25;
/// Most issuers of a service.
pub const MAX_ISSUERS: usize = 25;
/// Users of an issuer.
pub const MAX_ISSUER_USERS: usize = 10_000;
/// CA certificates that an issuer trusts.
pub const MAX_ISSUER_TRUSTS: usize = 25;
/// Most trust bundles of a service.
pub const MAX_TRUST_BUNDLES: usize = 25;
/// Enrollment groups with symmetric keys of a service: a token does not name its group, so all
/// of them are tried.
pub const MAX_KEYED_GROUPS: usize = 1000;
/// Shared access policies of a service.
pub const MAX_POLICIES: usize = 50;

/// Revocation lists of other CAs that one service follows.
pub const MAX_REVOCATION_LISTS: usize = 25;

/// Certificates on all of them together: 32 bytes of memory each, 128 MB in all. The limit is of one
/// service; the memory is the server's, which has up to [`MAX_SERVICES`].
pub const MAX_LISTED_CERTIFICATES: u64 = 4_000_000;
