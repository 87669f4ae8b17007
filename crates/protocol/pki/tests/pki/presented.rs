//! Chains as clients present them, and what is remembered of them.

use pki::{IssuerCache, PresentedChain, SeenIssuers, verify_chain};

use crate::toy::{NOW, Toy};

/// strangers do not drive out the issuers of a fleet.
#[test]
fn issuers_of_a_verified_path_stay_in_memory() {
    let root = Toy::root("root");
    let middle = root.ca("middle", 1);
    let leaf = middle.leaf("edge-001");
    let seen = SeenIssuers::new(8);
    let ders = [
        leaf.certificate.der(),
        middle.certificate.der(),
        root.certificate.der(),
    ];
    let presented = PresentedChain::new(&ders, &seen).unwrap();
    verify_chain(&presented, &root.certificate, NOW, &IssuerCache::default()).unwrap();
    for number in 0..100 {
        let stranger = Toy::root(&format!("stranger {number}"));
        let ders = [leaf.certificate.der(), stranger.certificate.der()];
        PresentedChain::new(&ders, &seen).unwrap();
        assert!(
            seen.knows(&middle.certificate) && seen.knows(&root.certificate),
            "{number}"
        );
        assert!(seen.len() <= 8, "{}", seen.len());
    }
    // Nor do too many that were verified fill it for ever.
    for number in 0..20 {
        let ca = root.ca(&format!("line {number}"), 2);
        let leaf = ca.leaf("edge-002");
        let ders = [leaf.certificate.der(), ca.certificate.der()];
        let presented = PresentedChain::new(&ders, &seen).unwrap();
        verify_chain(&presented, &root.certificate, NOW, &IssuerCache::default()).unwrap();
        assert!(seen.len() <= 8 && seen.knows(&ca.certificate), "{number}");
    }
}

/// what is not read is kept for the one who has to find out why.
#[test]
fn a_chain_that_is_not_read_says_why_and_what_was_seen() {
    let root = Toy::root("root");
    let leaf = root.leaf("edge-001");
    let (leaf, root) = (
        leaf.certificate.der().to_vec(),
        root.certificate.der().to_vec(),
    );
    let read = |ders: &[Vec<u8>]| PresentedChain::read(ders, &SeenIssuers::new(0)).unwrap_err();
    let many = [vec![leaf.clone()], vec![root.clone(); 10]].concat();
    let (code, seen) = {
        let it = read(&many);
        (it.error().code(), it.certificates().len())
    };
    assert_eq!((code, seen), ("chain_too_long", 10));
    let it = read(&[leaf.clone(), b"no certificate".to_vec(), root.clone()]);
    assert_eq!(
        (it.error().code(), it.certificates().len()),
        ("certificate_unparsable", 2)
    );
    assert!(
        it.error().to_string().contains("certificate 2"),
        "{}",
        it.error()
    );
    let it = read(&[leaf, vec![0x30; 70_000], root]);
    assert_eq!(
        (it.error().code(), it.certificates().len()),
        ("chain_too_large", 1)
    );
}
