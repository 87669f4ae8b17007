use std::time::Duration;

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_000);

/// What happens to a job beside its own steps.
#[derive(Debug, Clone, Copy)]
enum Event {
    Step,
    /// The step's result is lost with the process; devices that were called have no outcome.
    Crash,
    /// A device that was called answers.
    Answer,
    Cancel,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Step),
        1 => Just(Event::Crash),
        3 => Just(Event::Answer),
        1 => Just(Event::Cancel),
        2 => (1u64..60).prop_map(Event::Pass),
    ]
}

/// A job with its devices, as the database holds it.
struct Model {
    job: JobProgress,
    unselected: u32,
    pending: u32,
    running: u32,
    /// How often each device was worked on.
    worked: u32,
    outcomes: u32,
    method: bool,
}

impl Model {
    fn new(devices: u32, method: bool) -> Self {
        Self {
            job: JobProgress {
                state: JobState::Scheduled,
                starts: START.plus(Duration::from_secs(5)),
                deadline: START.plus(Duration::from_secs(500)),
                pending: false,
                running: false,
            },
            unselected: devices,
            pending: 0,
            running: 0,
            worked: 0,
            outcomes: 0,
            method,
        }
    }

    fn look(&mut self) -> JobProgress {
        self.job.pending = self.pending > 0;
        self.job.running = self.running > 0;
        self.job
    }

    fn step(&mut self, now: Timestamp) -> JobStep {
        let step = next_step(&self.look(), now);
        match step {
            JobStep::Start => self.job.state = JobState::Selecting,
            JobStep::Select if self.unselected == 0 => self.job.state = JobState::Working,
            JobStep::Select => {
                self.unselected -= 1;
                self.pending += 1;
            }
            JobStep::Work => {
                self.pending -= 1;
                self.worked += 1;
                match self.method {
                    true => self.running += 1,
                    false => self.outcomes += 1,
                }
            }
            JobStep::Complete => self.job.state = JobState::Completing,
            JobStep::Expire => self.job.state = JobState::Failing,
            JobStep::Close => {
                self.outcomes += self.pending + self.running;
                (self.pending, self.running) = (0, 0);
            }
            JobStep::Finish => {
                self.job.state = match self.job.state {
                    JobState::Failing => JobState::Failed,
                    JobState::Cancelling => JobState::Cancelled,
                    _ => JobState::Completed,
                }
            }
            JobStep::Wait(_) | JobStep::Await(_) | JobStep::Nothing => {}
        }
        step
    }

    fn crash(&mut self) {
        self.outcomes += self.running;
        self.running = 0;
    }

    fn cancel(&mut self) {
        if matches!(
            self.job.state,
            JobState::Scheduled | JobState::Selecting | JobState::Working
        ) {
            self.job.state = JobState::Cancelling;
        }
    }
}

fn rank(state: JobState) -> u32 {
    match state {
        JobState::Scheduled => 0,
        JobState::Selecting => 1,
        JobState::Working => 2,
        JobState::Completing | JobState::Failing | JobState::Cancelling => 3,
        JobState::Completed | JobState::Failed | JobState::Cancelled => 4,
    }
}

proptest! {
    /// Whatever happens in whatever order: states only go forward, no device is worked on twice,
    /// and the job ends with an outcome for each device that was selected.
    #[test]
    fn every_job_ends_and_works_once_on_each_device(
        devices in 0u32..20,
        method: bool,
        events in prop::collection::vec(event(), 0..200),
    ) {
        let mut model = Model::new(devices, method);
        let mut now = START;
        for event in events {
            let before = rank(model.job.state);
            match event {
                Event::Step => drop(model.step(now)),
                Event::Crash => model.crash(),
                Event::Answer if model.running > 0 => {
                    model.running -= 1;
                    model.outcomes += 1;
                }
                Event::Answer => {}
                Event::Cancel => model.cancel(),
                Event::Pass(seconds) => now = now.plus(Duration::from_secs(seconds)),
            }
            prop_assert!(rank(model.job.state) >= before);
        }
        // Left alone, it ends at its deadline at the latest, in few steps.
        now = now.max(model.job.deadline);
        for _ in 0..200 {
            model.step(now);
        }
        prop_assert_eq!(rank(model.job.state), 4);
        let selected = devices - model.unselected;
        prop_assert_eq!(model.outcomes, selected);
        prop_assert!(model.worked <= selected);
        prop_assert_eq!(next_step(&model.look(), now), JobStep::Nothing);
    }
}

#[test]
fn a_job_begins_when_it_is_due_and_has_until_its_deadline() {
    let mut model = Model::new(1, true);
    assert_eq!(model.step(START), JobStep::Wait(model.job.starts));
    let due = model.job.starts;
    let steps: Vec<_> = (0..5).map(|_| model.step(due)).collect();
    let deadline = model.job.deadline;
    let expected = [
        JobStep::Start,
        JobStep::Select,
        JobStep::Select,
        JobStep::Work,
        JobStep::Await(deadline),
    ];
    assert_eq!(steps, expected);
    assert_eq!(model.step(deadline), JobStep::Expire);
    assert_eq!(model.step(deadline), JobStep::Close);
    assert_eq!(model.step(deadline), JobStep::Finish);
    assert_eq!(model.job.state, JobState::Failed);
}
