use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};

use super::*;

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        proven: 2,
        unproven: 4,
        unproven_per_address: 2,
        unproven_input: 100_000,
    }
}

/// Why a connection is evicted by now; `None` when it is not.
async fn cause(notice: EvictionNotice) -> Option<EvictionCause> {
    tokio::time::timeout(Duration::from_millis(1), notice.evicted())
        .await
        .ok()
}

#[tokio::test(start_paused = true)]
async fn when_there_are_too_many_the_new_one_is_kept_and_the_oldest_evicted() {
    // C2: no client is refused because unproven connections hold every slot.
    let unproven = UnprovenConnections::new(limits());
    let notices: Vec<_> = (0..4).map(|_| unproven.enter(ip(1))).collect();
    let (operator, notice) = unproven.enter(ip(2));
    let mut notices = notices.into_iter();
    let (_connection, first) = notices.next().unwrap();
    assert_eq!(cause(first).await, Some(EvictionCause::TooMany));
    for (_connection, notice) in notices {
        assert_eq!(cause(notice).await, None);
    }
    operator.mark_proven_if_possible();
    assert!(operator.is_proven());
    assert_eq!(cause(notice).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_address_keeps_a_number_that_linger_and_a_burst_that_proves_itself_is_left_alone() {
    let unproven = UnprovenConnections::new(limits());
    let (connections, notices): (Vec<_>, Vec<_>) = (0..4).map(|_| unproven.enter(ip(1))).unzip();
    let notices: Vec<_> = notices
        .into_iter()
        .map(|notice| tokio::spawn(notice.evicted()))
        .collect();
    sleep(Duration::from_secs(4)).await;
    connections[3].mark_proven_if_possible();
    assert!(notices.iter().all(|notice| !notice.is_finished()));
    sleep(Duration::from_secs(2)).await;
    let gone: Vec<_> = notices
        .iter()
        .map(tokio::task::JoinHandle::is_finished)
        .collect();
    assert_eq!(gone, [true, false, false, false], "the oldest of three");
}

#[tokio::test(start_paused = true)]
async fn slots_of_the_proven_are_theirs_and_come_back() {
    let unproven = UnprovenConnections::new(limits());
    let (first, notice) = unproven.enter(ip(1));
    let reserved = first.reserve().unwrap();
    let (second, _) = unproven.enter(ip(1));
    second.mark_proven_if_possible();
    let (third, _) = unproven.enter(ip(1));
    assert!(third.reserve().is_none(), "both slots are taken");
    third.mark_proven_if_possible();
    assert!(!third.is_proven());
    first.mark_proven(reserved);
    drop((second, notice));
    third.mark_proven_if_possible();
    assert!(third.is_proven());
    drop((first, third));
    assert_eq!(unproven.0.proven.available_permits(), 2);
    assert_eq!(unproven.table().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unproven_connection_lasts_a_minute_after_its_last_use_and_ten_in_all() {
    let unproven = UnprovenConnections::new(limits());
    let lasted = async |useful_every: u64, answering: bool| {
        let (connection, _notice) = unproven.enter(ip(1));
        connection.answering().store(answering, Ordering::Relaxed);
        let begun = Instant::now();
        let using = async {
            loop {
                sleep(Duration::from_secs(useful_every)).await;
                connection.mark_useful();
            }
        };
        let limit = Duration::from_secs(700);
        tokio::select! {
            () = connection.timed_out() => begun.elapsed().as_secs(),
            () = using => 0,
            () = sleep(limit) => limit.as_secs(),
        }
    };
    assert_eq!(lasted(1000, false).await, 60);
    assert_eq!(lasted(50, false).await, 600);
    assert_eq!(
        lasted(1000, true).await,
        700,
        "its request is being answered"
    );
}

#[tokio::test(start_paused = true)]
async fn incomplete_requests_are_bounded_for_each_and_for_all() {
    // C3, H18.
    let unproven = UnprovenConnections::new(limits());
    let (one, _notice) = unproven.enter(ip(1));
    let (other, _notice2) = unproven.enter(ip(2));
    one.limit_input(200_000);
    assert_eq!(one.count_input(110_000), Ok(()));
    assert_eq!(other.count_input(16_000), Ok(()), "a little is free");
    assert_eq!(other.count_input(10_000), Err(InputLimitExceeded::Shared));
    one.consume_input(0);
    other.consume_input(0);
    assert_eq!(other.count_input(26_000), Ok(()));
    one.limit_input(20_000);
    assert_eq!(one.count_input(20_001), Err(InputLimitExceeded::Request));
    one.mark_proven_if_possible();
    one.limit_input(1_000_000);
    assert_eq!(
        one.count_input(900_000),
        Ok(()),
        "a proven connection has no share"
    );
    drop((one, other, _notice, _notice2));
    assert_eq!(unproven.0.input.load(Ordering::Relaxed), 0);
}
