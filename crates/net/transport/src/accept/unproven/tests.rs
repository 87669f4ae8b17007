use super::*;

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn room() -> Room {
    Room {
        proven: 2,
        unproven: 4,
        unproven_per_address: 2,
        unproven_input: 100_000,
    }
}

/// Whether a stay is over by now; `None` when it goes on.
async fn end(stay: Stay) -> Option<Evicted> {
    tokio::time::timeout(Duration::from_millis(1), stay.over())
        .await
        .ok()
}

#[test]
fn whoever_has_most_loses_its_oldest() {
    let mut guests = Guests::default();
    let all = [(1, "a"), (2, "b"), (2, "c"), (3, "d"), (2, "e")];
    let busy = all.map(|(address, name)| {
        let busy = Arc::default();
        guests.enter(ip(address), Arc::clone(&busy), name);
        busy
    });
    // An answer that is awaited is a reason to stay, as long as there are others.
    busy[1].store(true, Ordering::Relaxed);
    assert_eq!(guests.evict_from_crowd(), Some("c"));
    assert_eq!(guests.evict_from_crowd(), Some("e"));
    // All have one now: the oldest of all goes first.
    for name in ["a", "b", "d"] {
        assert_eq!(guests.evict_from_crowd(), Some(name));
    }
    assert_eq!(guests.evict_from_crowd(), None);
    assert!(guests.networks.is_empty() && guests.crowd.is_empty());
}

#[tokio::test(start_paused = true)]
async fn when_there_is_no_room_the_newcomer_gets_in_and_the_oldest_goes() {
    // C2: nobody is refused because strangers hold every place.
    let strangers = Strangers::new(room());
    let stays: Vec<_> = (0..4).map(|_| strangers.enter(ip(1))).collect();
    let (operator, stay) = strangers.enter(ip(2));
    let mut stays = stays.into_iter();
    let (_visit, first) = stays.next().unwrap();
    assert_eq!(end(first).await, Some(Evicted::Crowded));
    for (_visit, stay) in stays {
        assert_eq!(end(stay).await, None);
    }
    operator.prove_if_there_is_room();
    assert!(operator.is_proven());
    assert_eq!(end(stay).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_address_keeps_so_many_that_linger_and_a_burst_that_proves_itself_is_left_alone() {
    let strangers = Strangers::new(room());
    let (visits, stays): (Vec<_>, Vec<_>) = (0..4).map(|_| strangers.enter(ip(1))).unzip();
    let stays: Vec<_> = stays
        .into_iter()
        .map(|stay| tokio::spawn(stay.over()))
        .collect();
    sleep(Duration::from_secs(4)).await;
    visits[3].prove_if_there_is_room();
    assert!(stays.iter().all(|stay| !stay.is_finished()));
    sleep(Duration::from_secs(2)).await;
    let gone: Vec<_> = stays
        .iter()
        .map(tokio::task::JoinHandle::is_finished)
        .collect();
    assert_eq!(gone, [true, false, false, false], "the oldest of three");
}

#[tokio::test(start_paused = true)]
async fn places_of_the_proven_are_theirs_and_come_back() {
    let strangers = Strangers::new(room());
    let (first, stay) = strangers.enter(ip(1));
    let reserved = first.reserve().unwrap();
    let (second, _) = strangers.enter(ip(1));
    second.prove_if_there_is_room();
    let (third, _) = strangers.enter(ip(1));
    assert!(third.reserve().is_none(), "both places are taken");
    third.prove_if_there_is_room();
    assert!(!third.is_proven());
    first.prove(reserved);
    drop((second, stay));
    third.prove_if_there_is_room();
    assert!(third.is_proven());
    drop((first, third));
    assert_eq!(strangers.0.proven.available_permits(), 2);
    assert_eq!(strangers.guests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_stays_a_minute_after_its_last_use_and_ten_in_all() {
    let strangers = Strangers::new(room());
    let stayed = async |useful_every: u64, busy: bool| {
        let (visit, _stay) = strangers.enter(ip(1));
        visit.busy().store(busy, Ordering::Relaxed);
        let begun = Instant::now();
        let using = async {
            loop {
                sleep(Duration::from_secs(useful_every)).await;
                visit.was_useful();
            }
        };
        let limit = Duration::from_secs(700);
        tokio::select! {
            () = visit.outstayed() => begun.elapsed().as_secs(),
            () = using => 0,
            () = sleep(limit) => limit.as_secs(),
        }
    };
    assert_eq!(stayed(1000, false).await, 60);
    assert_eq!(stayed(50, false).await, 600);
    assert_eq!(
        stayed(1000, true).await,
        700,
        "its request is being answered"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_whole_is_bounded_for_each_and_for_all() {
    // C3, H18.
    let strangers = Strangers::new(room());
    let (one, _stay) = strangers.enter(ip(1));
    let (other, _stay2) = strangers.enter(ip(2));
    one.limit_input(200_000);
    assert_eq!(one.arrived(110_000), Ok(()));
    assert_eq!(other.arrived(16_000), Ok(()), "a little is free");
    assert_eq!(other.arrived(10_000), Err(TooMuch::Shared));
    one.taken_but(0);
    other.taken_but(0);
    assert_eq!(other.arrived(26_000), Ok(()));
    one.limit_input(20_000);
    assert_eq!(one.arrived(20_001), Err(TooMuch::Own));
    one.prove_if_there_is_room();
    one.limit_input(1_000_000);
    assert_eq!(
        one.arrived(900_000),
        Ok(()),
        "who is known is not a stranger"
    );
    drop((one, other, _stay, _stay2));
    assert_eq!(strangers.0.input.load(Ordering::Relaxed), 0);
}
