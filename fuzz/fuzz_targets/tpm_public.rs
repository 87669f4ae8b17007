//! Public areas of TPM keys, as devices and operators give them; what is read can be sealed for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pki::tpm::{EndorsementKey, HmacKey, StorageRootKey};

fuzz_target!(|bytes: &[u8]| {
    let Ok(endorsement) = EndorsementKey::parse(bytes) else {
        return;
    };
    assert_eq!(endorsement.as_bytes(), bytes);
    let storage_root = StorageRootKey::parse(bytes).expect("the same rules");
    let sealed = HmacKey::new([7; 32]).seal(&endorsement, &storage_root, "scope/registrations/a");
    assert!(sealed.is_ok());
});
