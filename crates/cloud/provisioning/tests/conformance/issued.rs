use std::sync::Arc;

use ids::{CertificateSerial, IssuerName, IssuerUserName, Thumbprint, Timestamp};
use provisioning::{
    CertificateOrigin, EnterError, IssuedCertificate, IssuedQuery, IssuerDraft, IssuerUser,
    IssuerUserDraft, IssuerUserError, IssuerUserReset, MAX_ISSUERS, Requester, Secret,
};
use registry::{Continuation, IfMatch, PageRequest};
use wire::muster_api::issuer::{
    DeviceKeyType, IssuerProfile, IssuerSettings, Lifetime, ProfileKind,
};

use crate::Bench;
use crate::ca_certificates;
use crate::registrations::assign;

pub(crate) fn issuer(name: &str) -> IssuerName {
    IssuerName::parse(name).unwrap()
}

fn username(name: &str) -> IssuerUserName {
    IssuerUserName::parse(name).unwrap()
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

pub(crate) fn user(name: &str, uses: Option<u32>) -> IssuerUserDraft {
    IssuerUserDraft {
        name: username(name),
        password: Secret::new("sha256:00"),
        uses,
        expires: None,
    }
}

/// A certificate of the CA `[1; 32]`, which issuer `fleet` has.
pub(crate) fn certificate(number: u8, common_name: &str) -> IssuedCertificate {
    let day = i64::from(number) * 86_400;
    IssuedCertificate {
        issuer: issuer("fleet"),
        authority: Thumbprint::from_bytes([1; 32]),
        serial: CertificateSerial::from_bytes(&[1, number]).unwrap(),
        common_name: common_name.to_owned(),
        thumbprint: Thumbprint::from_bytes([number; 32]),
        not_before: Timestamp::from_unix_seconds(1_700_000_000),
        not_after: Timestamp::from_unix_seconds(1_700_000_000 + day),
        key_type: "P-256",
        requester: Requester::Operator,
        der: vec![number],
    }
}

impl Bench {
    async fn fleet(&self) {
        let created = self
            .provisioning
            .create_issuer(draft("Fleet", 1), self.now());
        created.await.unwrap();
    }

    async fn enter(&self, issued: IssuedCertificate) -> Result<(), EnterError> {
        self.provisioning
            .enter_issued(Arc::new(issued), self.now())
            .await
    }

    /// A certificate that a user has issued.
    async fn enter_for(&self, user: &IssuerUser, number: u8) -> Result<(), EnterError> {
        let requester = Requester::EstUser {
            name: user.name.clone(),
            version: user.etag.clone(),
        };
        self.enter(IssuedCertificate {
            requester,
            ..certificate(number, "d")
        })
        .await
    }

    /// The common names that a query lists, in pages of two.
    async fn listed(&self, query: IssuedQuery) -> Vec<String> {
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

pub(crate) async fn uses_count_certificates(bench: Bench) {
    bench.fleet().await;
    let (fleet, draft) = (issuer("fleet"), user("Line-1", Some(2)));
    let made = bench
        .provisioning
        .create_issuer_user(&fleet, draft, bench.now());
    let made = made.await.unwrap();
    let wanted = (1..=6).map(|number| bench.enter_for(&made, number));
    let mut issued = 0;
    for entered in futures(wanted).await {
        match entered {
            Ok(()) => issued += 1,
            Err(error) => assert!(matches!(error, EnterError::UserSpent(_)), "{error:?}"),
        }
    }
    assert_eq!(issued, 2);
    assert_eq!(bench.listed(IssuedQuery::default()).await.len(), 2);
    let read = bench
        .provisioning
        .issuer_user(&issuer("fleet"), &username("line-1"));
    let read = read.unwrap().unwrap();
    assert_eq!(read.uses_left, Some(0));
    assert_eq!(read.etag, made.etag, "a use is not another version");
}

/// Awaits all at once, so that they meet in the writer's queue.
async fn futures<F>(all: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future,
{
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = one.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

pub(crate) async fn an_expired_or_changed_user_gets_no_certificate(bench: Bench) {
    bench.fleet().await;
    let fleet = issuer("fleet");
    let expires = Some(bench.now());
    let ended = IssuerUserDraft {
        expires,
        ..user("ended", None)
    };
    let ended = bench
        .provisioning
        .create_issuer_user(&fleet, ended, bench.now())
        .await
        .unwrap();
    let refused = bench.enter_for(&ended, 1).await;
    assert!(
        matches!(refused, Err(EnterError::UserExpired { .. })),
        "{refused:?}"
    );

    let reset = IssuerUserReset {
        name: username("ENDED"),
        password: Secret::new("sha256:01"),
        uses: None,
        expires: Some(Timestamp::from_unix_seconds(1_800_000_000)),
    };
    let again = bench
        .provisioning
        .reset_issuer_user(&fleet, reset, bench.now())
        .await
        .unwrap();
    let refused = bench.enter_for(&ended, 1).await;
    assert!(
        matches!(refused, Err(EnterError::UserChanged(_))),
        "{refused:?}"
    );
    bench.enter_for(&again, 1).await.unwrap();

    let name = username("ended");
    bench
        .provisioning
        .delete_issuer_user(&fleet, &name)
        .await
        .unwrap();
    let refused = bench.enter_for(&again, 2).await;
    assert!(
        matches!(refused, Err(EnterError::UserChanged(_))),
        "{refused:?}"
    );
    let gone = bench.provisioning.delete_issuer_user(&fleet, &name).await;
    assert!(matches!(gone, Err(IssuerUserError::NotFound { .. })));
}

pub(crate) async fn users_belong_to_their_issuer(bench: Bench) {
    bench.fleet().await;
    let fleet = issuer("fleet");
    for name in ["b", "A", "c"] {
        let made = bench
            .provisioning
            .create_issuer_user(&fleet, user(name, None), bench.now());
        made.await.unwrap();
    }
    let again = bench
        .provisioning
        .create_issuer_user(&fleet, user("a", None), bench.now())
        .await;
    assert!(matches!(again, Err(IssuerUserError::Exists { .. })));
    let page = bench
        .provisioning
        .issuer_users(&fleet, &PageRequest::first(2))
        .unwrap();
    let names: Vec<&str> = page.items.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["A", "b"]);
    assert_eq!(page.continuation, Some(Continuation::after("b")));

    let other = bench
        .provisioning
        .create_issuer(draft("other", 2), bench.now());
    other.await.unwrap();
    let here = bench
        .provisioning
        .issuer_user(&issuer("other"), &username("a"));
    assert_eq!(here.unwrap(), None);
    bench
        .provisioning
        .delete_issuer(&fleet, &IfMatch::Any)
        .await
        .unwrap();
    let gone = bench
        .provisioning
        .issuer_users(&fleet, &PageRequest::first(2));
    assert!(matches!(gone, Err(IssuerUserError::Issuer(_))));
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
