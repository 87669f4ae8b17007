//! Jobs: what is stored of them, and what each step does.

use ids::{Identity, JobId};
use registry::{
    DeviceOutcome, IfMatch, JobDeviceState, JobDraft, JobError, JobKind, JobRecord, JobState,
    JobStep, JobTwinUpdate, MAX_OPEN_JOBS, PageRequest, QueryRows, TwinPatch, next_step,
};
use serde_json::{Value, json};
use wire::service_api::identity::DeviceRequest;

use crate::{Bench, device, hub, map, query};

pub(crate) fn draft(id: &str) -> JobDraft {
    JobDraft {
        id: JobId::parse(id).unwrap(),
        kind: JobKind::UpdateTwin,
        condition: "*".to_owned(),
        work: "{}".to_owned(),
        starts: ids::Timestamp::from_unix_seconds(0),
        lifetime: 60,
    }
}

impl Bench {
    async fn job_with_devices(&self, id: &str, devices: &[&str]) -> JobRecord {
        let hub = &hub();
        for id in devices {
            let device = &device(id);
            let request = DeviceRequest::default();
            let put =
                self.registry
                    .put_device(hub, device, request, &IfMatch::AnyOrAbsent, self.now());
            put.await.unwrap();
        }
        let created = self.registry.create_job(hub, draft(id), self.now());
        let job = created.await.unwrap();
        let started = self.registry.start_job(&job, JobState::Selecting);
        started.await.unwrap();
        let found = devices.iter().map(|id| (device(id), None)).collect();
        let job = self.look(&job);
        let added = self.registry.add_job_devices(&job, found, None, self.now());
        added.await.unwrap();
        self.look(&job)
    }

    fn look(&self, job: &JobRecord) -> JobRecord {
        self.registry.job_progress(job.row).unwrap().unwrap().0
    }

    fn step(&self, job: &JobRecord) -> JobStep {
        let (_, progress) = self.registry.job_progress(job.row).unwrap().unwrap();
        next_step(&progress, self.now())
    }

    /// Its devices, by id, as `devices.jobs` has them.
    async fn outcomes(&self, job: &JobRecord) -> Vec<Value> {
        let text = format!(
            "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = '{}'",
            job.id
        );
        let page = PageRequest::first(1000);
        match query(&self.registry, &text, &page).await.rows {
            QueryRows::Jobs(rows) => rows,
            _ => panic!("rows of jobs"),
        }
    }

    /// The states of its devices, by id.
    async fn states(&self, job: &JobRecord) -> Vec<Value> {
        let outcomes = self.outcomes(job).await.into_iter();
        outcomes.map(|mut row| row["status"].take()).collect()
    }
}

pub(crate) async fn a_job_updates_each_twin_once(bench: Bench) {
    let hub = &hub();
    let job = bench.job_with_devices("j1", &["d1", "d2"]).await;
    assert_eq!(bench.step(&job), JobStep::Work);
    let patch = TwinPatch {
        tags: Some(map(json!({"site": "a"}))),
        desired: None,
    };
    let update = JobTwinUpdate::new(&patch, IfMatch::Any).unwrap();
    let d2 = &device("d2");
    let gone = bench.registry.delete_device(hub, d2, &IfMatch::Any);
    gone.await.unwrap();
    // Twice, as after a crash whose answer was lost.
    for _ in 0..2 {
        for id in ["d1", "d2"] {
            let fault = |error: &registry::TwinError| registry::JobDeviceError {
                code: 404_001,
                text: error.to_string(),
            };
            let target = (device(id), None);
            let done = bench
                .registry
                .update_job_twin(&job, target, &update, fault, bench.now());
            done.await.unwrap();
        }
    }
    let twin = Identity::device(hub.clone(), device("d1"));
    let twin = bench.registry.twin(&twin).await.unwrap().twin;
    assert_eq!((twin.version, twin.tags), (3, map(json!({"site": "a"}))));
    let states = bench.states(&job).await;
    assert_eq!(states, ["completed", "failed"]);
    assert_eq!(bench.step(&job), JobStep::Complete);
    let end = bench.registry.end_job(&job, JobState::Completing, None);
    end.await.unwrap();
    let job = bench.look(&job);
    bench.registry.finish_job(&job, bench.now()).await.unwrap();
    let job = bench.registry.job(hub, &job.id).await.unwrap();
    assert_eq!(job.state, JobState::Completed);
    assert_eq!((job.counts.succeeded, job.counts.failed), (1, 1));
    assert!(bench.registry.open_jobs().unwrap().is_empty());
}

pub(crate) async fn a_device_is_called_once_also_after_a_crash(bench: Bench) {
    let hub = &hub();
    let job = bench.job_with_devices("j1", &["d1", "d2", "d3"]).await;
    let both = vec![(device("d1"), None), (device("d2"), None)];
    for expected in [2, 0] {
        let claim = bench
            .registry
            .claim_job_devices(&job, both.clone(), bench.now());
        assert_eq!(claim.await.unwrap().len(), expected);
    }
    let outcome = DeviceOutcome::Done(Some("{\"status\":200}".to_owned()));
    for outcome in [
        outcome,
        DeviceOutcome::Done(Some("{\"status\":500}".to_owned())),
    ] {
        let end = bench
            .registry
            .end_job_device(&job, (device("d1"), None), outcome, bench.now());
        end.await.unwrap();
    }
    // A device that was being called when the process ended is not called again.
    let close = async |from| {
        let close = bench.registry.close_job_devices(&job, from, bench.now());
        close.await.unwrap()
    };
    assert_eq!(close(JobDeviceState::Running).await, 1);
    let expected = ["completed", "failed", "pending"];
    assert_eq!(bench.states(&job).await, expected);
    let first = bench.outcomes(&job).await.remove(0);
    let response = &first["outcome"]["deviceMethodResponse"];
    assert_eq!(*response, json!({"status": 200}));

    let cancelled = bench.registry.cancel_job(hub, &job.id, bench.now());
    assert_eq!(cancelled.await.unwrap().state, JobState::Cancelling);
    assert_eq!(bench.step(&job), JobStep::Close);
    assert_eq!(close(JobDeviceState::Pending).await, 1);
    assert_eq!(bench.step(&job), JobStep::Finish);
    let claim = bench
        .registry
        .claim_job_devices(&job, vec![(device("d3"), None)], bench.now());
    assert!(claim.await.unwrap().is_empty());
}

/// Answers of devices may be long: a page of them ends by their bytes.
pub(crate) async fn a_page_of_outcomes_is_not_longer_than_it_may_be(bench: Bench) {
    let names: Vec<_> = (0..40).map(|number| format!("d{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let job = bench.job_with_devices("j1", &names).await;
    let all: Vec<_> = names.iter().map(|name| (device(name), None)).collect();
    let claim = bench.registry.claim_job_devices(&job, all, bench.now());
    assert_eq!(claim.await.unwrap().len(), 40);
    let response = json!({"status": 200, "payload": "x".repeat(250 << 10)}).to_string();
    for name in &names {
        let (device, outcome) = (device(name), DeviceOutcome::Done(Some(response.clone())));
        let end = bench
            .registry
            .end_job_device(&job, (device, None), outcome, bench.now());
        end.await.unwrap();
    }
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { after, limit: 1000 };
        let answer = query(&bench.registry, "SELECT * FROM devices.jobs", &page).await;
        let QueryRows::Jobs(rows) = answer.rows else {
            panic!("rows of jobs");
        };
        pages.push(rows.len());
        after = answer.continuation;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages.iter().sum::<usize>(), 40);
    assert!(pages[0] < 40, "{pages:?}");
}

pub(crate) async fn jobs_have_ids_of_their_own_and_are_forgotten(bench: Bench) {
    let hub = &hub();
    let registry = &bench.registry;
    registry
        .create_job(hub, draft("j1"), bench.now())
        .await
        .unwrap();
    let again = registry.create_job(hub, draft("j1"), bench.now()).await;
    assert!(matches!(again, Err(JobError::Exists(_))));
    let absent = JobId::parse("none").unwrap();
    let absent = registry.cancel_job(hub, &absent, bench.now()).await;
    assert!(matches!(absent, Err(JobError::NotFound(_))));
    // A job that has not begun ends at once, and cancelling it again changes nothing.
    let id = draft("j1").id;
    for _ in 0..2 {
        let cancelled = registry.cancel_job(hub, &id, bench.now());
        assert_eq!(cancelled.await.unwrap().state, JobState::Cancelled);
    }
    assert!(!registry.forget_jobs(bench.now()).await.unwrap());
    let later = bench
        .now()
        .plus(registry::JOB_HISTORY)
        .plus(registry::JOB_HISTORY);
    assert!(registry.forget_jobs(later).await.unwrap());
    assert!(!registry.forget_jobs(later).await.unwrap());
    let kinds = (JobKind::UpdateTwin, JobKind::DeviceMethod);
    let page = PageRequest::first(10);
    let left = registry.list_jobs(hub, kinds, &page);
    assert!(left.await.unwrap().items.is_empty());
}

pub(crate) async fn open_jobs_are_limited(bench: Bench) {
    let hub = &hub();
    let registry = &bench.registry;
    for number in 0..MAX_OPEN_JOBS {
        let draft = draft(&format!("j{number}"));
        registry.create_job(hub, draft, bench.now()).await.unwrap();
    }
    let more = registry.create_job(hub, draft("more"), bench.now()).await;
    assert!(matches!(more, Err(JobError::TooMany)));
}
