use tokio::sync::oneshot;

use super::*;
use crate::sqlite::checkpoint;
use crate::sqlite::job::UnitJob;
use crate::sqlite::lanes::Lane;
use crate::store::tests::write;

fn writer() -> (mpsc::Sender<Queued>, Writer) {
    let (sender, queue) = mpsc::channel(4096);
    let connection = Connection::open_in_memory().unwrap();
    let file = Path::new(":memory:").into();
    let checkpointer = Checkpointer::start(&file, checkpoint::PAGES).unwrap();
    let writer = Writer::new(
        connection,
        file,
        queue,
        StoreOptions::default(),
        checkpointer,
    );
    (sender, writer)
}

/// What ran and what was committed, in order.
type Events = Arc<std::sync::Mutex<Vec<&'static str>>>;

fn job(events: &Events, name: &'static str, lasts: Duration) -> Box<dyn Job> {
    let events = events.clone();
    let unit = write(move |tx| {
        std::thread::sleep(lasts);
        events.lock().unwrap().push(name);
        let events = events.clone();
        tx.after_commit(move || events.lock().unwrap().push("committed"));
        Ok(())
    });
    Box::new(UnitJob::new(unit, oneshot::channel().0))
}

// C7
#[test]
fn who_waits_comes_before_what_follows() {
    let (sender, writer) = writer();
    let events = Events::default();
    for (count, lane, name) in [
        (40, Lane::Background, "background"),
        (3, Lane::Interactive, "interactive"),
    ] {
        for _ in 0..count {
            let job = job(&events, name, Duration::ZERO);
            sender.try_send((lane, job)).unwrap();
        }
    }
    drop(sender);
    writer.run();
    let events = events.lock().unwrap();
    assert_eq!(events[..3], ["interactive"; 3]);
    assert_eq!(
        events.iter().filter(|what| **what == "background").count(),
        40
    );
}

// C7
#[test]
fn a_transaction_ends_when_its_time_is_over() {
    let (sender, writer) = writer();
    let events = Events::default();
    for _ in 0..9 {
        let job = job(&events, "ran", Duration::from_millis(12));
        sender.try_send((Lane::Interactive, job)).unwrap();
    }
    drop(sender);
    writer.run();
    let events = events.lock().unwrap();
    let most = events
        .split(|what| *what == "committed")
        .map(<[_]>::len)
        .max();
    assert!(most <= Some(2), "{events:?}");
    assert_eq!(events.iter().filter(|what| **what == "ran").count(), 9);
}

// C7
#[test]
fn who_comes_while_the_background_runs_is_next_and_waits_for_few_of_it() {
    let (sender, writer) = writer();
    let events = Events::default();
    let lasts = Duration::from_millis(2);
    let urgent = job(&events, "interactive", Duration::ZERO);
    let comes = std::sync::Mutex::new(Some((sender.clone(), urgent)));
    let first = write(move |_| {
        let (sender, urgent) = comes.lock().unwrap().take().unwrap();
        sender.try_send((Lane::Interactive, urgent)).unwrap();
        Ok(())
    });
    let first: Box<dyn Job> = Box::new(UnitJob::new(first, oneshot::channel().0));
    sender.try_send((Lane::Background, first)).unwrap();
    for _ in 0..12 {
        let job = job(&events, "background", lasts);
        sender.try_send((Lane::Background, job)).unwrap();
    }
    drop(sender);
    writer.run();
    let events = events.lock().unwrap();
    assert_eq!(events[0], "interactive", "{events:?}");
    let most = events
        .split(|what| *what == "committed")
        .map(<[_]>::len)
        .max();
    assert!(most <= Some(4), "{events:?}");
    let ran = events.iter().filter(|what| **what == "background");
    assert_eq!(ran.count(), 12);
}

/// A caller whose transaction cannot be begun gets the error, and the writer goes on.
#[test]
fn a_transaction_that_cannot_be_begun_fails_its_callers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("locked.db");
    let (sender, mut writer) = writer();
    writer.connection = Connection::open(&path).unwrap();
    let timeout = writer.connection.busy_timeout(Duration::ZERO);
    timeout.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut answers = Vec::new();
    for lane in [Lane::Interactive, Lane::Background] {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(UnitJob::new(write(|_| Ok(())), answer));
        sender.try_send((lane, job)).unwrap();
        answers.push(answered);
    }
    drop(sender);
    writer.run();
    for answered in answers {
        assert!(matches!(answered.blocking_recv(), Ok(Err(_))));
    }
}

#[test]
fn only_callers_who_are_several_wait_for_each_other() {
    let pace = PACE;
    let millis = Duration::from_millis;
    for (jobs, since, expected) in [
        (1, Duration::ZERO, None),
        (2, Duration::ZERO, Some(pace)),
        (512, millis(4), Some(pace - millis(4))),
        (512, pace + millis(1), None),
    ] {
        assert_eq!(rest(jobs, since), expected, "{jobs} {since:?}");
    }
}
