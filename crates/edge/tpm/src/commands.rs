//! The commands with their parameters and results (part 3).

mod credential;
mod signing;

use pki::tpm::{Reader, TooShort, push_sized};

use crate::TpmError;
use crate::code::rc;
use crate::command::{
    Authorized, CREATE, CREATE_PRIMARY, EVICT_CONTROL, GET_CAPABILITY, LOAD, NV_READ,
    NV_READ_PUBLIC, READ_PUBLIC, Request,
};
use crate::connection::Connection;
pub(crate) use credential::Duplicate;

/// Handles that every TPM has (part 2, 7.4).
pub(crate) mod hierarchy {
    pub(crate) const OWNER: u32 = 0x4000_0001;
    pub(crate) const NULL: u32 = 0x4000_0007;
    pub(crate) const ENDORSEMENT: u32 = 0x4000_000b;
}

const CAPABILITY_HANDLES: u32 = 1;
const CAPABILITY_PROPERTIES: u32 = 6;
/// The first handles of sessions and of loaded objects.
const LOADED: [u32; 3] = [0x0200_0000, 0x0300_0000, 0x8000_0000];
/// More than a TPM has room for.
const MANY: u32 = 64;
/// The longest `TPM2B_MAX_NV_BUFFER` that every TPM gives.
const MAX_NV_BUFFER: u16 = 512;

/// A key that a TPM made: its public area, and its private one, which only that TPM opens.
pub(crate) struct Created {
    pub(crate) public: Vec<u8>,
    pub(crate) private: Vec<u8>,
}

/// A public area that is not the answer's: `TPM2B_PUBLIC` of nothing else.
fn owned(reader: &mut Reader<'_>) -> Result<Vec<u8>, TooShort> {
    reader.sized().map(<[u8]>::to_vec)
}

fn numbers(fields: &[u32]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect()
}

impl Connection {
    /// Handles in use from `first` on, of one kind.
    fn handles(&mut self, first: u32, count: u32) -> Result<Vec<u32>, TpmError> {
        let parameters = numbers(&[CAPABILITY_HANDLES, first, count]);
        let request = Request {
            parameters: &parameters,
            ..Request::default()
        };
        let answer = self.run(&GET_CAPABILITY, request)?;
        self.read(&GET_CAPABILITY, &answer, |reader| {
            // Whether there are more, and which capability this is.
            reader.take(5)?;
            let count = reader.u32()?.min(MANY);
            (0..count).map(|_| reader.u32()).collect()
        })
    }

    /// Sessions and objects that are loaded now.
    pub(crate) fn loaded_objects(&mut self) -> Result<Vec<u32>, TpmError> {
        let mut all = Vec::new();
        for first in LOADED {
            all.extend(self.handles(first, MANY)?);
        }
        Ok(all)
    }

    /// Whether an object or index is at `handle`.
    pub(crate) fn exists(&mut self, handle: u32) -> Result<bool, TpmError> {
        Ok(self.handles(handle, 1)?.first() == Some(&handle))
    }

    /// The value of a property of the TPM; `None` when it does not have it.
    pub(crate) fn property(&mut self, property: u32) -> Result<Option<u32>, TpmError> {
        let parameters = numbers(&[CAPABILITY_PROPERTIES, property, 1]);
        let request = Request {
            parameters: &parameters,
            ..Request::default()
        };
        let answer = self.run(&GET_CAPABILITY, request)?;
        self.read(&GET_CAPABILITY, &answer, |reader| {
            reader.take(5)?;
            if reader.u32()? == 0 {
                return Ok(None);
            }
            let (found, value) = (reader.u32()?, reader.u32()?);
            Ok((found == property).then_some(value))
        })
    }

    /// The public area of an object, `TPMT_PUBLIC`.
    pub(crate) fn read_public(&mut self, handle: u32) -> Result<Vec<u8>, TpmError> {
        let request = Request {
            handles: &[handle],
            ..Request::default()
        };
        let answer = self.run(&READ_PUBLIC, request)?;
        self.read(&READ_PUBLIC, &answer, owned)
    }

    /// Makes a primary key. The same template gives the same key until the hierarchy is cleared.
    pub(crate) fn create_primary(
        &mut self,
        hierarchy: u32,
        value: &[u8],
        template: &[u8],
    ) -> Result<u32, TpmError> {
        let parameters = creation(template);
        let request = Request {
            handles: &[hierarchy],
            authorized: &[Authorized::By(value)],
            parameters: &parameters,
        };
        let answer = self.run(&CREATE_PRIMARY, request)?;
        self.handle(&CREATE_PRIMARY, &answer)
    }

    /// Makes a key below `parent`.
    pub(crate) fn create(&mut self, parent: u32, template: &[u8]) -> Result<Created, TpmError> {
        let parameters = creation(template);
        let request = Request {
            handles: &[parent],
            authorized: &[Authorized::EMPTY],
            parameters: &parameters,
        };
        let answer = self.run(&CREATE, request)?;
        self.read(&CREATE, &answer, |reader| {
            Ok(Created {
                private: owned(reader)?,
                public: owned(reader)?,
            })
        })
    }

    pub(crate) fn load(
        &mut self,
        parent: u32,
        private: &[u8],
        public: &[u8],
    ) -> Result<u32, TpmError> {
        let mut parameters = Vec::new();
        push_sized(&mut parameters, private);
        push_sized(&mut parameters, public);
        let request = Request {
            handles: &[parent],
            authorized: &[Authorized::EMPTY],
            parameters: &parameters,
        };
        let answer = self.run(&LOAD, request).map_err(|error| {
            match error.is_refused_with(rc::INTEGRITY) {
                true => TpmError::OtherOwner,
                false => error,
            }
        })?;
        self.handle(&LOAD, &answer)
    }

    /// Makes a loaded object persistent at `handle`, or removes it from there when it is that.
    pub(crate) fn evict_control(
        &mut self,
        owner: &[u8],
        object: u32,
        handle: u32,
    ) -> Result<(), TpmError> {
        let request = Request {
            handles: &[hierarchy::OWNER, object],
            authorized: &[Authorized::By(owner)],
            parameters: &handle.to_be_bytes(),
        };
        self.run(&EVICT_CONTROL, request).map(drop)
    }

    /// The bytes of an NV index that may be read with its own, empty, authorization value.
    pub(crate) fn nv_read(&mut self, index: u32) -> Result<Vec<u8>, TpmError> {
        let request = Request {
            handles: &[index],
            ..Request::default()
        };
        let answer = self.run(&NV_READ_PUBLIC, request)?;
        let size = self.read(&NV_READ_PUBLIC, &answer, |reader| {
            let area = reader.sized()?;
            let end = area.last_chunk().copied().ok_or(TooShort)?;
            Ok(u16::from_be_bytes(end))
        })?;
        let mut content = Vec::with_capacity(size.into());
        let mut offset = 0;
        while offset < size {
            let count = MAX_NV_BUFFER.min(size - offset);
            let parameters = [count.to_be_bytes(), offset.to_be_bytes()].concat();
            let request = Request {
                handles: &[index, index],
                authorized: &[Authorized::EMPTY],
                parameters: &parameters,
            };
            let answer = self.run(&NV_READ, request)?;
            content.extend(self.read(&NV_READ, &answer, owned)?);
            offset += count;
        }
        Ok(content)
    }
}

/// No authorization value, a template, and nothing that the creation data could say.
fn creation(template: &[u8]) -> Vec<u8> {
    let mut parameters = Vec::with_capacity(template.len() + 14);
    push_sized(&mut parameters, &[0, 0, 0, 0]);
    push_sized(&mut parameters, template);
    push_sized(&mut parameters, b"");
    parameters.extend_from_slice(&0_u32.to_be_bytes());
    parameters
}
