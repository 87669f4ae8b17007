//! Answers of the engine about containers.

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, CreateImageInfo,
    EventMessage, HealthStatusEnum,
};
use ids::{ModuleId, Timestamp};

use crate::desired::container::{CREATE_OPTIONS_LABEL, DIGEST_LABEL, IMAGE_LABEL, MODULE_LABEL};
use crate::runtime::{ContainerState, Observed, PullProgress};

/// Signals that end a program without a handler.
const ENDING_SIGNALS: [&str; 6] = ["1", "2", "3", "6", "9", "15"];

/// Whether an event is a request that ends a container.
pub(super) fn is_stop_request(event: &EventMessage) -> bool {
    match event.action.as_deref() {
        Some("stop") => true,
        Some("kill") => {
            let attributes = event.actor.as_ref().and_then(|a| a.attributes.as_ref());
            let signal = attributes.and_then(|attributes| attributes.get("signal"));
            signal.is_none_or(|signal| ENDING_SIGNALS.contains(&signal.as_str()))
        }
        _ => false,
    }
}

/// Notes one step of a pull.
pub(super) fn note_progress(progress: &PullProgress, step: &CreateImageInfo) {
    let (Some(layer), Some(status)) = (&step.id, &step.status) else {
        return;
    };
    let bytes = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
    match (status.as_str(), &step.progress_detail) {
        ("Downloading", Some(detail)) => {
            if let (Some(come), Some(size)) = (bytes(detail.current), bytes(detail.total)) {
                progress.downloading(layer, come, size);
            }
        }
        ("Verifying Checksum" | "Download complete" | "Pull complete", _) => {
            progress.downloaded(layer);
        }
        _ => {}
    }
}

pub(super) fn observed(found: ContainerInspectResponse) -> Option<Observed> {
    let labels = found
        .config
        .as_ref()
        .and_then(|config| config.labels.clone())
        .unwrap_or_default();
    let state = found.state?;
    // The engine writes the year 1 for "never".
    let moment = |text: Option<String>| {
        let moment = text.and_then(|text| Timestamp::parse(&text).ok());
        moment.filter(|moment| *moment > Timestamp::NEVER)
    };
    let health = state.health.and_then(|health| health.status);
    let finished = moment(state.finished_at);
    let what = match state.status {
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::RUNNING) => ContainerState::Running,
        Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited {
            code: state.exit_code.unwrap_or(-1),
            at: finished.unwrap_or(Timestamp::NEVER),
        },
        Some(ContainerStateStatusEnum::DEAD) => ContainerState::Dead,
        _ => ContainerState::Other,
    };
    Some(Observed {
        module: labels
            .get(MODULE_LABEL)
            .and_then(|name| ModuleId::parse(name).ok())?,
        id: found.id?,
        image: labels
            .get(IMAGE_LABEL)
            .cloned()
            .or_else(|| found.config.and_then(|config| config.image))
            .unwrap_or_default(),
        image_id: found.image,
        digest: labels.get(DIGEST_LABEL).cloned(),
        create_options: labels.get(CREATE_OPTIONS_LABEL).cloned(),
        state: what,
        unhealthy: what == ContainerState::Running && health == Some(HealthStatusEnum::UNHEALTHY),
        started: moment(state.started_at),
    })
}

/// A container of which only the entry in the engine's list is known.
pub(super) fn undescribed(listed: ContainerSummary) -> Option<Observed> {
    let labels = listed.labels.unwrap_or_default();
    let label = |name: &str| labels.get(name).cloned();
    Some(Observed {
        module: ModuleId::parse(labels.get(MODULE_LABEL)?).ok()?,
        id: listed.id?,
        image: label(IMAGE_LABEL).or(listed.image).unwrap_or_default(),
        image_id: listed.image_id,
        digest: label(DIGEST_LABEL),
        create_options: label(CREATE_OPTIONS_LABEL),
        state: ContainerState::Other,
        unhealthy: false,
        started: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_pull_become_its_progress() {
        let progress = PullProgress::default();
        for step in [
            r#"{"status":"Pulling from library/x","id":"1"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":5000000,"total":9000000},"id":"a"}"#,
            r#"{"status":"Downloading","progressDetail":{},"id":"b"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":-1,"total":9000000},"id":"b"}"#,
            r#"{"status":"Already exists","progressDetail":{},"id":"c"}"#,
            r#"{"status":"Digest: sha256:1"}"#,
        ] {
            note_progress(&progress, &serde_json::from_str(step).unwrap());
        }
        assert_eq!(progress.to_string(), "50 % of 9 MB");
        let done = r#"{"status":"Download complete","progressDetail":{},"id":"a"}"#;
        note_progress(&progress, &serde_json::from_str(done).unwrap());
        assert_eq!(progress.to_string(), "100 % of 9 MB");
    }
}
