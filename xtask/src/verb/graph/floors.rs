//! Which crate may depend on which. `crates/` has four floors: arrows lead downward or stay
//! on the floor, and `cloud` and `edge` never meet. Within a floor each crate lists those
//! that it may know.

use super::{Crates, Member};

/// Which crates of ours each crate may name. A crate that is not here may exist only after a
/// decision record and a line here.
const ALLOWED: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("mqtt", &[]),
    ("wire", &["ids"]),
    ("pki", &["ids"]),
    ("voucher", &["ids", "pki"]),
    ("software_tpm", &[]),
    ("transport", &["ids", "wire", "pki", "mqtt"]),
    ("throttle", &["ids"]),
    ("rest", &["ids", "wire"]),
    ("events", &[]),
    ("outbound", &[]),
    ("pkcs11", &["pki"]),
    ("store", &["ids"]),
    ("registry", &["ids", "wire", "pki", "events", "store"]),
    ("provisioning", &["ids", "wire", "pki", "registry", "store"]),
    ("ca", &["ids", "pki", "pkcs11"]),
    (
        "issuing",
        &[
            "ids",
            "wire",
            "pki",
            "rest",
            "throttle",
            "registry",
            "provisioning",
            "pkcs11",
            "ca",
        ],
    ),
    (
        "dps",
        &[
            "ids",
            "wire",
            "pki",
            "mqtt",
            "throttle",
            "transport",
            "rest",
            "outbound",
            "registry",
            "provisioning",
            "ca",
            "issuing",
        ],
    ),
    (
        "hub",
        &[
            "ids",
            "wire",
            "pki",
            "mqtt",
            "transport",
            "throttle",
            "rest",
            "outbound",
            "registry",
        ],
    ),
    ("tpm", &["pki"]),
    ("device", &["ids", "wire", "pki", "mqtt"]),
    ("keys", &["wire", "pki", "pkcs11", "tpm"]),
    (
        "edge",
        &[
            "ids", "wire", "pki", "mqtt", "pkcs11", "device", "tpm", "keys",
        ],
    ),
    ("sensor", &["ids", "wire", "device"]),
    (
        "muster",
        &[
            "ids",
            "wire",
            "pki",
            "voucher",
            "mqtt",
            "transport",
            "rest",
            "outbound",
            "pkcs11",
            "store",
            "registry",
            "provisioning",
            "ca",
            "dps",
            "hub",
            "device",
        ],
    ),
    ("sim", &["ids", "wire", "pki", "ca", "device", "tpm"]),
    ("xtask", &[]),
];

/// The arrows from `cloud` to `edge` that are wanted all the same, with the reason:
/// `muster fleet simulate` plays devices.
const ACROSS: &[(&str, &str)] = &[("muster", "device")];

/// A level of the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Floor {
    /// What both sides must agree on; no I/O, no clock.
    Protocol,
    /// Machinery of both sides; knows no enrollment and no twin.
    Net,
    /// The server.
    Cloud,
    /// The device.
    Edge,
    /// Chores and tests: `sim`, `xtask`.
    Beside,
}

impl Floor {
    /// The floor of a crate's folder; `None` for a folder of `crates/` that is no floor.
    pub(super) fn of(folder: &str) -> Option<Self> {
        let Some(rest) = folder.strip_prefix("crates/") else {
            return Some(Self::Beside);
        };
        match rest.split('/').next() {
            Some("protocol") => Some(Self::Protocol),
            Some("net") => Some(Self::Net),
            Some("cloud") => Some(Self::Cloud),
            Some("edge") => Some(Self::Edge),
            _ => None,
        }
    }

    fn may_use(self, other: Self) -> bool {
        match self {
            Self::Beside => true,
            Self::Edge => other <= Self::Net || other == Self::Edge,
            Self::Protocol | Self::Net | Self::Cloud => other <= self,
        }
    }
}

pub(super) fn faults(crates: &Crates) -> Vec<String> {
    crates
        .iter()
        .flat_map(|(name, member)| of_crate(name, member, crates))
        .collect()
}

fn of_crate(name: &str, member: &Member, crates: &Crates) -> Vec<String> {
    let manifest = format!("{}/Cargo.toml", member.folder);
    let Some(floor) = Floor::of(&member.folder) else {
        return vec![format!(
            "{manifest}:1: crate `{name}` is on none of the floors protocol, net, cloud and edge"
        )];
    };
    let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
        return vec![format!(
            "{manifest}:1: crate `{name}` has no place in the layers; write a decision record \
             and add it to xtask/src/verb/graph/floors.rs"
        )];
    };
    let mut faults = Vec::new();
    for target in &member.ours {
        if !allowed.contains(&target.as_str()) {
            faults.push(format!(
                "{manifest}:1: `{name}` may not depend on `{target}`; move what it needs to a \
                 crate below both"
            ));
        }
        let below = crates
            .get(target)
            .and_then(|target| Floor::of(&target.folder));
        let is_excepted = ACROSS.contains(&(name, target.as_str()));
        if below.is_some_and(|below| !floor.may_use(below)) && !is_excepted {
            faults.push(format!(
                "{manifest}:1: `{name}` of floor {floor:?} may not depend on `{target}`: arrows \
                 lead downward, and cloud and edge never meet"
            ));
        }
    }
    if floor == Floor::Protocol && member.external.iter().any(|target| target == "tokio") {
        faults.push(format!(
            "{manifest}:1: `{name}` compiles without I/O and may not depend on tokio"
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(members: &[(&str, &str, &[&str], &[&str])]) -> Crates {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let member = |(name, folder, ours, external): &(&str, &str, &[&str], &[&str])| {
            let member = Member {
                folder: (*folder).to_owned(),
                ours: own(ours),
                external: own(external),
            };
            ((*name).to_owned(), member)
        };
        members.iter().map(member).collect()
    }

    const IDS: (&str, &str, &[&str], &[&str]) = ("ids", "crates/protocol/ids", &[], &[]);

    #[test]
    fn a_dependency_downward_passes() {
        let house = house(&[IDS, ("dps", "crates/cloud/dps", &["ids"], &["tokio"])]);
        assert_eq!(faults(&house), Vec::<String>::new());
    }

    #[test]
    fn cloud_and_edge_never_meet() {
        let house = house(&[
            ("hub", "crates/cloud/hub", &[], &[]),
            ("edge", "crates/edge/edge", &["hub"], &[]),
        ]);
        let found = faults(&house);
        assert!(
            found[0].contains("`edge` may not depend on `hub`"),
            "{found:?}"
        );
        assert!(found[1].contains("never meet"), "{found:?}");
    }

    #[test]
    fn protocol_knows_nothing_above_it() {
        assert!(!Floor::Protocol.may_use(Floor::Net));
        assert!(!Floor::Net.may_use(Floor::Cloud));
        assert!(!Floor::Net.may_use(Floor::Edge));
        assert!(!Floor::Edge.may_use(Floor::Cloud));
        assert!(!Floor::Cloud.may_use(Floor::Edge));
        assert!(Floor::Edge.may_use(Floor::Protocol) && Floor::Cloud.may_use(Floor::Net));
    }

    #[test]
    fn tokio_on_the_lowest_floor_is_a_fault() {
        let house = house(&[("pki", "crates/protocol/pki", &[], &["tokio"])]);
        assert_eq!(faults(&house).len(), 1);
    }

    #[test]
    fn an_unknown_crate_or_floor_is_a_fault() {
        let unknown = house(&[("misc2", "crates/cloud/misc2", &[], &[])]);
        assert!(faults(&unknown)[0].contains("decision record"));
        let loose = house(&[("ids", "crates/ids", &[], &[])]);
        assert!(faults(&loose)[0].contains("on none of the floors"));
    }
}
