use ids::{IssuerUserName, Timestamp};
use provisioning::{
    EnterError, IssuedCertificate, IssuedQuery, IssuerUser, IssuerUserDraft, IssuerUserError,
    IssuerUserReset, Requester, Secret,
};
use registry::{Continuation, IfMatch, PageRequest};

use crate::Bench;
use crate::issued::{certificate, draft, issuer};

fn username(name: &str) -> IssuerUserName {
    IssuerUserName::parse(name).unwrap()
}

pub(crate) fn user(name: &str, uses: Option<u32>) -> IssuerUserDraft {
    IssuerUserDraft {
        name: username(name),
        password: Secret::new("sha256:00"),
        uses,
        expires: None,
    }
}

impl Bench {
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
