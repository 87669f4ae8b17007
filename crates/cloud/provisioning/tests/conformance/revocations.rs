use std::sync::Arc;
use std::time::Duration;

use ids::{CertificateName, CertificateSerial, Thumbprint, Timestamp};
use pki::{
    Certificate, CrlFields, Issuer, PrivateKey, RevocationReason, RevokedEntry, UnverifiedCrl,
    build_crl,
};
use provisioning::{
    IssuedCertificate, IssuedState, IssuerDraft, NewList, RevocationListDraft, RevocationListError,
    RevokeError,
};
use registry::revocation::NotInForce;
use registry::{Change, IfMatch, StalePolicy};

use crate::{Bench, issued};

use RevocationReason::{CertificateHold, KeyCompromise, Superseded};

/// A CA whose certificates and lists a test makes.
pub(crate) struct Ca {
    issuer: Issuer,
    signer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

pub(crate) fn serial(number: u8) -> CertificateSerial {
    CertificateSerial::from_bytes(&[1, number]).unwrap()
}

impl Ca {
    pub(crate) fn named(name: &str) -> Self {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![
            rcgen::KeyUsagePurpose::KeyCertSign,
            rcgen::KeyUsagePurpose::CrlSign,
        ];
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let certificate = Certificate::from_der(&der).unwrap();
        let private = PrivateKey::from_pem(&key.serialize_pem(), None).unwrap();
        Self {
            issuer: Issuer::new(certificate, private).unwrap(),
            signer: rcgen::Issuer::new(params, key),
        }
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        self.issuer.certificate()
    }

    /// A certificate of a device.
    pub(crate) fn leaf(&self, number: u8) -> Certificate {
        let mut params = rcgen::CertificateParams::default();
        params.serial_number = Some(rcgen::SerialNumber::from(vec![1, number]));
        params.use_authority_key_identifier_extension = true;
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.signer).unwrap();
        Certificate::from_der(leaf.der()).unwrap()
    }

    pub(crate) fn list_draft(&self, name: &str) -> RevocationListDraft {
        RevocationListDraft {
            name: CertificateName::parse(name).unwrap(),
            ca: Some(self.certificate().clone()),
            source: None,
            stale: StalePolicy::Accept,
        }
    }

    /// A list with certificates on it, that ends a day after it was made.
    pub(crate) fn list(&self, number: u64, revoked: &[(u8, RevocationReason)]) -> NewList {
        let made = Timestamp::from_unix_seconds(1_700_000_000);
        let fields = CrlFields {
            number,
            this_update: made,
            next_update: made.plus(Duration::from_secs(86_400)),
            distribution_point: None,
        };
        let serials: Vec<_> = revoked.iter().map(|(number, _)| serial(*number)).collect();
        let entries = serials.iter().zip(revoked);
        let entries = entries.map(|(serial, (_, reason))| RevokedEntry {
            serial: serial.as_bytes(),
            when: made,
            reason: *reason,
        });
        let der = build_crl(&self.issuer, &fields, entries).unwrap();
        let list = UnverifiedCrl::read(der).unwrap();
        let list = list.verify_at_any_time(self.certificate()).unwrap();
        NewList::new(&list, self.certificate()).unwrap()
    }
}

impl Bench {
    /// An issuer whose CA a test has.
    pub(crate) async fn issue_with(&self, name: &str, ca: &Ca) {
        let draft = IssuerDraft {
            ca_certificate: ca.certificate().sha256(),
            chain: ca.certificate().to_pem(),
            ..issued::draft(name, 9)
        };
        let created = self.provisioning.create_issuer(draft, self.now());
        created.await.unwrap();
    }

    pub(crate) async fn enter_leaf(&self, name: &str, ca: &Ca, number: u8) {
        let entry = IssuedCertificate {
            issuer: issued::issuer(name),
            authority: ca.certificate().sha256(),
            serial: serial(number),
            thumbprint: Thumbprint::from_bytes([number; 32]),
            ..issued::certificate(number, "d")
        };
        let entered = self.provisioning.enter_issued(Arc::new(entry), self.now());
        entered.await.unwrap();
    }

    /// Why a certificate is refused now.
    pub(crate) fn refused(&self, ca: &Ca, number: u8) -> Option<NotInForce> {
        let leaf = ca.leaf(number);
        let refused = self.provisioning.not_in_force([&leaf], self.now());
        refused.map(|refused| refused.cause)
    }

    pub(crate) fn reason(&self, ca: &Ca, number: u8) -> Option<RevocationReason> {
        match self.refused(ca, number) {
            Some(NotInForce::Revoked(revocation)) => Some(revocation.reason),
            Some(NotInForce::Stale(stale)) => panic!("{stale}"),
            None => None,
        }
    }

    pub(crate) async fn revoke(
        &self,
        number: u8,
        reason: RevocationReason,
    ) -> Result<IssuedState, RevokeError> {
        let fleet = issued::issuer("fleet");
        let revoked =
            self.provisioning
                .revoke_certificate(&fleet, serial(number), reason, self.now());
        Ok(revoked.await?.state)
    }

    pub(crate) async fn restore(&self, number: u8) -> Result<IssuedState, RevokeError> {
        let fleet = issued::issuer("fleet");
        let restored = self
            .provisioning
            .restore_certificate(&fleet, serial(number), self.now());
        Ok(restored.await?.state)
    }

    pub(crate) async fn publish(&self, list: NewList) -> Result<(), RevocationListError> {
        let name = CertificateName::parse("partner").unwrap();
        let uploaded = self
            .provisioning
            .upload_revocation_list(&name, list, self.now());
        uploaded.await.map(drop)
    }

    pub(crate) async fn follow(&self, ca: &Ca, stale: StalePolicy) {
        let draft = RevocationListDraft {
            stale,
            ..ca.list_draft("partner")
        };
        let put = self
            .provisioning
            .put_revocation_list(draft, &IfMatch::Any, self.now());
        if let Err(RevocationListError::NotFound(_)) = put.await {
            let draft = RevocationListDraft {
                stale,
                ..ca.list_draft("partner")
            };
            let put = self
                .provisioning
                .put_revocation_list(draft, &IfMatch::Absent, self.now());
            put.await.unwrap();
        }
    }
}

pub(crate) async fn what_is_revoked_stays_revoked_and_what_is_on_hold_comes_back(bench: Bench) {
    let (ca, other) = (Ca::named("fleet"), Ca::named("other"));
    bench.issue_with("fleet", &ca).await;
    for number in [1, 2, 3] {
        bench.enter_leaf("fleet", &ca, number).await;
    }
    assert_eq!(bench.refused(&ca, 1), None);
    bench.heard.take();
    assert_eq!(
        bench.revoke(1, KeyCompromise).await.unwrap(),
        IssuedState::Revoked
    );
    assert_eq!(bench.heard.take(), [Change::Revocations]);
    assert_eq!(
        bench.revoke(2, CertificateHold).await.unwrap(),
        IssuedState::Held
    );
    assert_eq!(bench.reason(&ca, 1), Some(KeyCompromise));
    assert_eq!(bench.reason(&ca, 2), Some(CertificateHold));
    assert_eq!(bench.reason(&ca, 3), None);
    assert_eq!(bench.refused(&other, 1), None, "a CA of another name");

    // Again is the same; another reason does not make it revoked later.
    let Some(NotInForce::Revoked(before)) = bench.refused(&ca, 1) else {
        panic!("revoked")
    };
    bench.revoke(1, KeyCompromise).await.unwrap();
    bench.revoke(1, Superseded).await.unwrap();
    let Some(NotInForce::Revoked(after)) = bench.refused(&ca, 1) else {
        panic!("revoked")
    };
    assert_eq!((after.since, after.reason), (before.since, Superseded));
    for refused in [
        bench.revoke(1, CertificateHold).await,
        bench.restore(1).await,
    ] {
        assert!(
            matches!(refused, Err(RevokeError::Final { .. })),
            "{refused:?}"
        );
    }

    let bench = bench.restart().await;
    assert_eq!(bench.reason(&ca, 1), Some(Superseded));
    assert_eq!(bench.reason(&ca, 2), Some(CertificateHold));
    assert_eq!(bench.restore(2).await.unwrap(), IssuedState::Valid);
    assert_eq!(bench.restore(2).await.unwrap(), IssuedState::Valid, "again");
    assert_eq!(bench.reason(&ca, 2), None);
    let bench = bench.restart().await;
    assert_eq!(bench.reason(&ca, 2), None);
}

pub(crate) async fn a_serial_number_that_is_not_listed_is_revoked(bench: Bench) {
    let ca = Ca::named("fleet");
    bench.issue_with("fleet", &ca).await;
    let refused = bench.restore(9).await;
    assert!(
        matches!(refused, Err(RevokeError::NotListed { .. })),
        "{refused:?}"
    );
    bench.revoke(9, CertificateHold).await.unwrap();
    let bench = bench.restart().await;
    assert_eq!(bench.reason(&ca, 9), Some(CertificateHold));
    bench.restore(9).await.unwrap();
    assert_eq!(bench.reason(&ca, 9), None);
    let nobody = issued::issuer("nobody");
    let revoked =
        bench
            .provisioning
            .revoke_certificate(&nobody, serial(1), Superseded, bench.now());
    assert!(matches!(revoked.await, Err(RevokeError::Issuer(_))));
}

pub(crate) async fn a_newer_list_replaces_the_older_whole(bench: Bench) {
    let ca = Ca::named("partner");
    let absent = bench.publish(ca.list(1, &[])).await;
    assert!(matches!(absent, Err(RevocationListError::NotFound(_))));
    bench.follow(&ca, StalePolicy::Accept).await;
    let held = [(1, KeyCompromise), (2, CertificateHold)];
    bench.publish(ca.list(5, &held)).await.unwrap();
    assert_eq!(bench.reason(&ca, 2), Some(CertificateHold));
    let older = bench.publish(ca.list(4, &[])).await;
    assert!(
        matches!(older, Err(RevocationListError::Older { .. })),
        "{older:?}"
    );
    let bench = bench.restart().await;
    assert_eq!(bench.reason(&ca, 1), Some(KeyCompromise));
    bench.publish(ca.list(6, &held[..1])).await.unwrap();
    assert_eq!(
        (bench.reason(&ca, 1), bench.reason(&ca, 2)),
        (Some(KeyCompromise), None)
    );

    // Other settings keep the list; another CA does not.
    bench.follow(&ca, StalePolicy::Refuse).await;
    assert_eq!(bench.reason(&ca, 1), Some(KeyCompromise));
    let name = CertificateName::parse("PARTNER").unwrap();
    let other = Ca::named("another");
    bench.follow(&other, StalePolicy::Accept).await;
    assert_eq!(bench.refused(&ca, 1), None);
    let stored = bench.provisioning.revocation_list(&name).unwrap().unwrap();
    assert_eq!(stored.content, None);
    let of_the_first = bench.publish(ca.list(7, &held)).await;
    assert!(matches!(
        of_the_first,
        Err(RevocationListError::CaChanged(_))
    ));
    bench.publish(other.list(1, &held)).await.unwrap();
    assert_eq!(bench.reason(&other, 2), Some(CertificateHold));
    bench
        .provisioning
        .delete_revocation_list(&name, &IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(bench.refused(&other, 2), None);
    let bench = bench.restart().await;
    assert_eq!(bench.refused(&other, 2), None);
}

pub(crate) async fn a_list_that_is_stale_refuses_if_its_policy_says_so(bench: Bench) {
    let ca = Ca::named("partner");
    let stale = |refused: Option<NotInForce>| matches!(refused, Some(NotInForce::Stale(_)));
    bench.follow(&ca, StalePolicy::Refuse).await;
    assert!(stale(bench.refused(&ca, 1)), "there is none yet");
    bench.follow(&ca, StalePolicy::Accept).await;
    assert_eq!(bench.refused(&ca, 1), None);
    bench.follow(&ca, StalePolicy::Refuse).await;
    bench
        .publish(ca.list(1, &[(2, KeyCompromise)]))
        .await
        .unwrap();
    let leaf = ca.leaf(1);
    for (days, refuses) in [(0, false), (2, true)] {
        let made = Timestamp::from_unix_seconds(1_700_000_000);
        let at = made.plus(Duration::from_secs(days * 86_400));
        let refused = bench.provisioning.not_in_force([&leaf], at);
        assert_eq!(
            stale(refused.map(|refused| refused.cause)),
            refuses,
            "{days}"
        );
        // What is on the list stays revoked.
        let revoked = bench.provisioning.not_in_force([&ca.leaf(2)], at).unwrap();
        assert_eq!(revoked.cause.code(), "certificate_revoked");
    }
}
