//! Which request of a run has which name. Names that differ in case only are the same device, and
//! their files would be the same on file systems that ignore case.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::super::journal::KeyId;

#[derive(Debug)]
pub(super) struct Claims {
    /// By names in lower case.
    by_name: HashMap<String, Owner>,
}

#[derive(Debug)]
enum Owner {
    /// A file of an earlier run, with the name as it is spelled there.
    File(String),
    Request {
        name: String,
        key: KeyId,
        origin: String,
    },
}

pub(super) enum Claim {
    First,
    /// The same name and key were there before.
    Repeated,
}

impl Claims {
    /// With the names of the files that exist.
    pub(super) fn new(names: impl Iterator<Item = String>) -> Self {
        let by_name = names
            .map(|name| (name.to_lowercase(), Owner::File(name)))
            .collect();
        Self { by_name }
    }

    /// The error is the reason why the request is refused.
    pub(super) fn claim(&mut self, name: &str, key: KeyId, origin: &str) -> Result<Claim, String> {
        let claimed = Owner::Request {
            name: name.to_owned(),
            key,
            origin: origin.to_owned(),
        };
        let mut owner = match self.by_name.entry(name.to_lowercase()) {
            Entry::Vacant(free) => {
                free.insert(claimed);
                return Ok(Claim::First);
            }
            Entry::Occupied(owner) => owner,
        };
        match owner.get() {
            Owner::File(there) if there == name => {
                owner.insert(claimed);
                Ok(Claim::First)
            }
            Owner::File(there) => Err(format!(
                "its common name {name:?} differs only in case from {there:?}, which has files in \
                 the output folder"
            )),
            Owner::Request {
                name: there,
                origin,
                ..
            } if there != name => Err(format!(
                "its common name {name:?} differs only in case from {there:?} of {origin}"
            )),
            Owner::Request { key: there, .. } if *there == key => Ok(Claim::Repeated),
            Owner::Request { origin, .. } => Err(format!(
                "its common name {name:?} is that of {origin}, which has another key"
            )),
        }
    }
}
