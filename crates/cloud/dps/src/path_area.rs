//! Which paths of a port that services share are this service's.

use wire::est::EstCall;
use wire::http::{Path, is};
use wire::public_pki::PublicPath;

/// A part of this service's paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// `/{idScope}/registrations/{id}/…`: devices.
    Devices,
    /// `/.well-known/est/…`: devices and production lines.
    Est,
    /// `/pki/…`: all that verify what issuers issue.
    PublicPki,
    /// Azure's service API, and this service's part of `/muster/v1`: operators.
    Operators,
}

/// First segments of the service API.
const OPERATOR_ROOTS: &[&str] = &[
    "enrollments",
    "enrollmentGroups",
    "registrations",
    "certificateAuthorities",
    "trustBundles",
];
/// What follows `/muster/v1` in this service's part of it; hubs have a part too.
const OWN_ROOTS: &[&str] = &["hubs", "services", "dps", "audit"];
/// First segments of the hubs' paths, whose second segment may be any
/// device id, also `registrations`.
const HUB_ROOTS: &[&str] = &[
    "devices",
    "twins",
    "digitaltwins",
    "configurations",
    "jobs",
    "statistics",
    "uploads",
];

/// The area of a request path; `None` when another service has it.
pub fn find(path: &str) -> Option<Area> {
    let path = Path::parse(path).ok()?;
    let among = |names: &[&str], segment| names.iter().any(|name| is(segment, name));
    match path.segments().as_slice() {
        [muster, version, area, ..] if is(muster, "muster") && is(version, "v1") => {
            among(OWN_ROOTS, area).then_some(Area::Operators)
        }
        path if EstCall::is_below(path) => Some(Area::Est),
        path if PublicPath::is_below(path) => Some(Area::PublicPki),
        [root, ..] if among(OPERATOR_ROOTS, root) => Some(Area::Operators),
        [root, second, _, ..] if is(second, "registrations") && !among(HUB_ROOTS, root) => {
            Some(Area::Devices)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn musters_own_paths_are_told_from_the_hubs() {
        for (path, area) in [
            ("/muster/v1/hubs", Some(Area::Operators)),
            ("/Muster/V1/DPS/linkedHubs/h", Some(Area::Operators)),
            ("/enrollmentgroups/g/x", Some(Area::Operators)),
            ("/trustBundles", Some(Area::Operators)),
            ("/.well-known/est/cacerts", Some(Area::Est)),
            ("/.well-known/EST/fleet/simpleenroll", Some(Area::Est)),
            ("/.well-known/est", Some(Area::Est)),
            ("/.well-known/other", None),
            ("/pki/fleet/crl", Some(Area::PublicPki)),
            ("/pki", Some(Area::PublicPki)),
            ("/muster/v1/events", None),
            ("/muster/v1", None),
            ("/nothing", None),
            ("/", None),
        ] {
            assert_eq!(find(path), area, "{path}");
        }
    }

    #[test]
    fn a_device_named_registrations_belongs_to_its_hub() {
        for (path, area) in [
            ("/devices/registrations/modules", None),
            ("/Twins/registrations/methods", None),
            ("/digitaltwins/registrations/commands/reboot", None),
            ("/uploads/registrations/a.txt", None),
            ("/0ne1/registrations/d", Some(Area::Devices)),
            ("/0ne1/registrations", None),
            ("/registrations/registrations/d", Some(Area::Operators)),
        ] {
            assert_eq!(find(path), area, "{path}");
        }
    }
}
