//! A root takes the place of another one, and they vouch for each other: devices below either are let
//! in by a group that has one of them.

use pki::Certificate;

use crate::harness::hierarchy::{Ca, chain};
use crate::harness::{Service, group};

/// Two roots of the same name, with an intermediate each, and the certificates by which they
/// vouch for each other.
struct Roots {
    old: Ca,
    new: Ca,
    below_old: Ca,
    below_new: Ca,
    new_by_old: Certificate,
    old_by_new: Certificate,
}

impl Roots {
    fn make() -> Self {
        let (old, new) = (Ca::root("Root"), Ca::root("Root"));
        Self {
            below_old: old.intermediate("Below"),
            below_new: new.intermediate("Below"),
            new_by_old: old.cross(&new),
            old_by_new: new.cross(&old),
            old,
            new,
        }
    }

    /// What devices below the old and the new root present, with or without the root at the end.
    fn chains(&self, with_root: bool) -> [Vec<Certificate>; 2] {
        let chain = |ca: &Ca, name: &str, cross: &Certificate, root: &Ca| {
            let mut all = vec![ca.leaf(name), ca.certificate.clone(), cross.clone()];
            all.extend(with_root.then(|| root.certificate.clone()));
            all
        };
        [
            chain(&self.below_old, "dev-old", &self.old_by_new, &self.new),
            chain(&self.below_new, "dev-new", &self.new_by_old, &self.old),
        ]
    }
}

#[tokio::test]
async fn a_group_of_either_root_lets_in_what_is_below_both() {
    for of_new in [false, true] {
        for with_root in [true, false] {
            let (service, roots) = (Service::start().await, Roots::make());
            let root = if of_new { &roots.new } else { &roots.old };
            let body = group("line", &root.certificate);
            service.create("/enrollmentGroups/line", &body).await;
            for presented in roots.chains(with_root) {
                let id = presented[0].subject_common_name().unwrap().to_owned();
                let presented: Vec<&Certificate> = presented.iter().collect();
                let state = service.provision(&id, &chain(&presented)).await;
                assert_eq!(
                    state["status"], "assigned",
                    "{id} {of_new} {with_root}: {state}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_stranger_of_the_same_name_is_not_let_in() {
    let (service, roots, stranger) = (Service::start().await, Roots::make(), Roots::make());
    let body = group("line", &roots.old.certificate);
    service.create("/enrollmentGroups/line", &body).await;
    for presented in stranger.chains(true) {
        let id = presented[0].subject_common_name().unwrap().to_owned();
        let presented: Vec<&Certificate> = presented.iter().collect();
        let refused = service.register(&id, &chain(&presented)).await;
        assert_eq!(refused.status, 401, "{}", refused.body);
    }
}
