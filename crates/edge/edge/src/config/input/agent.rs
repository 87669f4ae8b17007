//! `[agent]`, `[watchdog]`, `[image_garbage_collection]`.

use crate::config::offered::Form;
use crate::config::reader::{At, Section, TextOrNumber};
use crate::config::settings::{ImageGc, Watchdog};
use crate::config::values;
use crate::desired::agent_options::{AgentOptions, note_about};

/// Azure's bootstrap agent is a container. Here the agent is part of the daemon, so that only its
/// environment has an effect.
pub(super) fn agent(top: &Section<'_, '_>) -> Vec<(String, String)> {
    let Some(section) = top.section("agent") else {
        return Vec::new();
    };
    let built_in = "the edge agent is part of aziot-edged and needs no image";
    section.without_effect(&["config"], built_in);
    if let Some(config) = section.section("config") {
        container(config);
    }
    for (key, usual) in [("name", "edgeAgent"), ("type", "docker")] {
        if section.text(key).is_some_and(|at| at.value != usual) {
            section.without_effect(&[key], built_in);
        }
    }
    match section.text("imagePullPolicy") {
        Some(at) if at.value == "never" => section.without_effect(&["imagePullPolicy"], built_in),
        Some(at) if at.value != "on-create" => {
            let message = format!(
                "agent.imagePullPolicy: {:?} is neither \"on-create\" nor \"never\"",
                at.value
            );
            section.fault(at.line, message);
        }
        _ => {}
    }
    let env = section.section("env").map(variables).unwrap_or_default();
    section.finish();
    env
}

/// `[agent.env]`: those that nobody reads are noted, and so are values that cannot be used.
fn variables(section: Section<'_, '_>) -> Vec<(String, String)> {
    let line = section.line();
    let mut variables = Vec::new();
    for (name, At { value, line }) in section.texts() {
        if let Some(note) = note_about(&name) {
            section.note(line, format!("agent.env: {note}"));
        }
        variables.push((name, value));
    }
    for problem in AgentOptions::read(&variables, None).notes {
        section.warn(line, format!("agent.env: {problem}"));
    }
    variables
}

/// The image and the container of an agent that is not started: only their keys are checked.
fn container(config: Section<'_, '_>) {
    let _ = config.text("image");
    let _ = config.text("digest");
    let _ = config.section("createOptions");
    if let Some(auth) = config.section("auth") {
        for key in ["serveraddress", "username", "password", "email", "auth"] {
            let _ = auth.text(key);
        }
        auth.finish();
    }
    config.finish();
}

/// Azure's watchdog restarts the container of the edge agent, and gives up
/// after this many failures.
pub(super) fn watchdog(top: &Section<'_, '_>) -> Watchdog {
    let Some(section) = top.section("watchdog") else {
        return Watchdog::default();
    };
    let mut watchdog = Watchdog::default();
    match section.text_or_unsigned("max_retries") {
        Some(At {
            value: TextOrNumber::Text(text),
            line,
        }) if !text.eq_ignore_ascii_case("infinite") => {
            section.fault(
                line,
                format!(
                    "watchdog.max_retries: {text:?} is neither \"infinite\" nor a whole number"
                ),
            );
        }
        Some(At {
            value: TextOrNumber::Number(number),
            ..
        }) => {
            watchdog.max_retries = Some(u32::try_from(number).unwrap_or(u32::MAX));
            section.without_effect(
                &["max_retries"],
                "the edge agent is part of aziot-edged, there is nothing that could be watched \
                 and given up",
            );
        }
        _ => {}
    }
    section.finish();
    watchdog
}

/// `[image_garbage_collection]`.
pub(super) fn image_gc(top: &Section<'_, '_>) -> ImageGc {
    let usual = ImageGc::default();
    let Some(section) = top.asking_section("image_garbage_collection") else {
        return usual;
    };
    let enabled = section.boolean("enabled");
    if enabled.as_ref().is_none_or(|at| at.value) {
        let line = enabled.as_ref().map_or(section.line(), |at| at.line);
        top.form(Form::ImageCollection, "image_garbage_collection", line);
    }
    let days = |key: &'static str, usual| {
        let Some(At { value, line }) = section.text(key) else {
            return usual;
        };
        values::whole_days(&value).unwrap_or_else(|| {
            let name = section.name(key);
            let message =
                format!("{name}: {value:?} is not a number of whole days, such as \"7d\"");
            section.fault(line, message);
            usual
        })
    };
    let recurrence = days("cleanup_recurrence", usual.recurrence);
    let unused_for = days("image_age_cleanup_threshold", usual.unused_for);
    let minute_of_day = section.text("cleanup_time").map(|at| {
        values::minute_of_day(&at.value).unwrap_or_else(|| {
            let message = format!(
                "image_garbage_collection.cleanup_time: {:?} is not a time of day, \"00:00\" to \
                 \"23:59\"",
                at.value
            );
            section.fault(at.line, message);
            usual.minute_of_day
        })
    });
    section.finish();
    ImageGc {
        enabled: enabled.is_none_or(|at| at.value),
        recurrence,
        unused_for,
        minute_of_day: minute_of_day.unwrap_or(usual.minute_of_day),
    }
}
