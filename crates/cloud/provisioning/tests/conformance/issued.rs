use std::sync::Arc;

use ids::{CertificateSerial, Etag, IssuerName, ProfileKind, Thumbprint, Timestamp};
use provisioning::{
    AssignError, CertificateOrigin, EnterError, IssuedCertificate, IssuedQuery, IssuerDraft,
    IssuerGeneration, MAX_ISSUERS, NextAuthority, PendingRegistration, PendingStep, Placement,
    Requester,
};
use registry::{Continuation, IfMatch};
use wire::certificate_info::CertificateInfo;
use wire::muster_api::issuer::{
    DeviceKeyType, IssuerProfile, IssuerSettings, Lifetime, PinnedCertificates,
};

use crate::Bench;
use crate::ca_certificates;
use crate::registrations::assign;

pub(crate) fn issuer(name: &str) -> IssuerName {
    IssuerName::parse(name).unwrap()
}

pub(crate) fn draft(name: &str, number: u8) -> IssuerDraft {
    IssuerDraft {
        name: issuer(name),
        ca_certificate: Thumbprint::from_bytes([number; 32]),
        chain: "CHAIN".to_owned(),
        profile: IssuerProfile {
            kind: ProfileKind::EdgeIdentity,
            lifetime: Lifetime::Days { days: 30 },
            key_types: vec![DeviceKeyType::P256],
        },
        settings: IssuerSettings::default(),
    }
}

/// A CA that an issuer is rolled to.
pub(crate) fn next_authority(number: u8) -> NextAuthority {
    let thumbprint = Thumbprint::from_bytes([number; 32]);
    let moment = Timestamp::from_unix_seconds(1_700_000_000);
    NextAuthority {
        generation: IssuerGeneration {
            thumbprint,
            chain: format!("CHAIN {number}"),
        },
        der: vec![number],
        subject: vec![number],
        info: CertificateInfo {
            subject_name: format!("CN=ca {number}"),
            sha1_thumbprint: String::new(),
            sha256_thumbprint: thumbprint.to_string(),
            issuer_name: String::new(),
            not_before_utc: moment,
            not_after_utc: moment,
            serial_number: String::new(),
            version: 3,
        },
    }
}

/// A certificate of the CA `[1; 32]`, which issuer `fleet` has.
pub(crate) fn certificate(number: u8, common_name: &str) -> IssuedCertificate {
    let day = i64::from(number) * 86_400;
    IssuedCertificate {
        issuer: issuer("fleet"),
        // One that the issuer does not have any more: its CAs are read.
        issuer_version: Etag::parse("earlier").unwrap(),
        authority: Thumbprint::from_bytes([1; 32]),
        serial: CertificateSerial::from_bytes(&[1, number]).unwrap(),
        common_name: common_name.to_owned(),
        thumbprint: Thumbprint::from_bytes([number; 32]),
        not_before: Timestamp::from_unix_seconds(1_700_000_000),
        not_after: Timestamp::from_unix_seconds(1_700_000_000 + day),
        key_type: "P-256",
        requester: Requester::Operator,
        pinned_certificates: PinnedCertificates::Keep,
        der: vec![number],
    }
}

impl Bench {
    pub(crate) async fn fleet(&self) {
        let created = self
            .provisioning
            .create_issuer(draft("Fleet", 1), self.now());
        created.await.unwrap();
    }

    pub(crate) async fn enter(&self, issued: IssuedCertificate) -> Result<(), EnterError> {
        self.provisioning
            .enter_issued(Arc::new(issued), self.now())
            .await
    }

    /// The common names that a query lists, in pages of two.
    pub(crate) async fn listed(&self, query: IssuedQuery) -> Vec<String> {
        let (mut names, mut after) = (Vec::new(), None::<Continuation>);
        loop {
            let query = IssuedQuery {
                after,
                limit: 2,
                ..query.clone()
            };
            let fleet = issuer("FLEET");
            let list = self.provisioning.list_issued(&fleet, query);
            let page = list.await.unwrap();
            names.extend(page.items.into_iter().map(|item| item.common_name));
            match page.continuation {
                Some(next) => after = Some(next),
                None => return names,
            }
        }
    }
}

pub(crate) async fn a_certificate_is_listed_once_it_is_acknowledged(bench: Bench) {
    bench.fleet().await;
    for (number, name) in [
        (3, "Beta"),
        (1, "alpha"),
        (2, "beta"),
        (5, "gamma"),
        (4, "Alpha"),
    ] {
        bench.enter(certificate(number, name)).await.unwrap();
    }
    let all = IssuedQuery::default();
    assert_eq!(
        bench.listed(all.clone()).await,
        ["alpha", "Alpha", "Beta", "beta", "gamma"]
    );
    let subject = Some("BETA".to_owned());
    let of_beta = IssuedQuery {
        subject,
        ..all.clone()
    };
    assert_eq!(bench.listed(of_beta).await, ["Beta", "beta"]);
    let expires_before = Some(certificate(4, "").not_after);
    let early = IssuedQuery {
        expires_before,
        ..all
    };
    assert_eq!(bench.listed(early).await, ["alpha", "beta", "Beta"]);

    let one = certificate(2, "beta");
    let found = bench.provisioning.issued_certificates(&one.serial).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].thumbprint, one.thumbprint);
    assert_eq!(found[0].origin, CertificateOrigin::Operator);
    let der = bench.provisioning.issued_der(&one.serial, &one.thumbprint);
    assert_eq!(der.unwrap(), Some(vec![2]));
    let other = Thumbprint::from_bytes([9; 32]);
    let found = bench.provisioning.issued_certificate(&one.serial, &other);
    assert_eq!(found.unwrap(), None);
}

pub(crate) async fn a_registration_lists_its_certificate_with_the_assignment(bench: Bench) {
    bench.fleet().await;
    let mut assign = assign(&bench.provisioning, "d1").await;
    let issued = IssuedCertificate {
        requester: Requester::Registration,
        ..certificate(1, "d1")
    };
    assign.registrant.issued = Some(Arc::new(issued.clone()));
    bench
        .provisioning
        .assign(assign, bench.now())
        .await
        .unwrap();
    let found = bench
        .provisioning
        .issued_certificates(&issued.serial)
        .unwrap();
    assert_eq!(found[0].origin, CertificateOrigin::Registration);
}

pub(crate) async fn a_ca_that_the_issuer_does_not_have_enters_nothing(bench: Bench) {
    bench.fleet().await;
    let other = IssuedCertificate {
        authority: Thumbprint::from_bytes([7; 32]),
        ..certificate(1, "d")
    };
    let refused = bench.enter(other).await;
    assert!(
        matches!(refused, Err(EnterError::IssuerGone(_))),
        "{refused:?}"
    );
    assert!(bench.listed(IssuedQuery::default()).await.is_empty());
}

pub(crate) async fn a_registration_does_not_write_a_certificate_of_a_ca_that_is_gone(bench: Bench) {
    bench.fleet().await;
    let mut assign = assign(&bench.provisioning, "d1").await;
    let other = IssuedCertificate {
        authority: Thumbprint::from_bytes([7; 32]),
        requester: Requester::Registration,
        ..certificate(1, "d1")
    };
    assign.registrant.issued = Some(Arc::new(other));
    let step = PendingStep::PlaceOnRemoteHub(Box::new(Placement {
        choice: assign.choice.clone(),
        note: None,
    }));
    let pending = PendingRegistration::new(assign.registrant.clone(), step, bench.now());
    let refused = [
        bench.provisioning.assign(assign, bench.now()).await.err(),
        bench
            .provisioning
            .begin_pending(pending, bench.now())
            .await
            .err(),
    ];
    for refused in refused {
        assert!(
            matches!(refused, Some(AssignError::IssuerChanged(_))),
            "{refused:?}"
        );
    }
    assert!(bench.listed(IssuedQuery::default()).await.is_empty());
}

pub(crate) async fn one_issuer_is_the_default(bench: Bench) {
    let settings = IssuerSettings {
        is_default: true,
        ..IssuerSettings::default()
    };
    for (name, number) in [("first", 1), ("second", 2)] {
        let draft = IssuerDraft {
            settings: settings.clone(),
            ..draft(name, number)
        };
        bench
            .provisioning
            .create_issuer(draft, bench.now())
            .await
            .unwrap();
    }
    let is_default = |name| {
        let found = bench.provisioning.issuer(&issuer(name)).unwrap().unwrap();
        found.settings.is_default
    };
    assert!(!is_default("first") && is_default("second"));
    for number in 2..MAX_ISSUERS {
        let number = u8::try_from(number).unwrap();
        let draft = draft(&format!("more-{number}"), number);
        bench
            .provisioning
            .create_issuer(draft, bench.now())
            .await
            .unwrap();
    }
    let one_more = bench
        .provisioning
        .create_issuer(draft("more", 99), bench.now())
        .await;
    one_more.unwrap_err();
}

pub(crate) async fn an_issuer_trusts_verified_ca_certificates(bench: Bench) {
    bench.fleet().await;
    let (fleet, maker) = (issuer("fleet"), ca_certificates::name("Maker"));
    let add = || {
        bench
            .provisioning
            .add_issuer_trust(&fleet, &maker, bench.now())
    };
    add().await.unwrap_err();
    bench
        .upload("maker", 1, None, IfMatch::Absent)
        .await
        .unwrap();
    add().await.unwrap_err();
    bench
        .upload("maker", 1, Some(true), IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(add().await.unwrap().trusts, std::slice::from_ref(&maker));
    assert_eq!(
        add().await.unwrap().trusts,
        std::slice::from_ref(&maker),
        "again"
    );
    let remove = || {
        bench
            .provisioning
            .remove_issuer_trust(&fleet, &maker, bench.now())
    };
    assert!(remove().await.unwrap().trusts.is_empty());
    remove().await.unwrap_err();
}
