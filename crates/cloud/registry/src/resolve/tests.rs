use serde_json::json;

use super::*;
use ConfigurationStatus::{Applied, Targeted};

fn content(value: Value) -> Content {
    Content::parse(&value).unwrap()
}

fn base(modules: Value) -> Content {
    content(json!({
        "$edgeAgent": {"properties.desired": {"schemaVersion": "1.1", "modules": modules}},
        "$edgeHub": {"properties.desired": {"routes": {"all": "FROM /* INTO $upstream"}}},
        "sensor": {"properties.desired": {"interval": 5, "unit": "C"}},
    }))
}

/// Resolves (id, priority, created, content).
fn resolved(candidates: &[(&str, u32, i64, &Content)]) -> Resolution {
    let ids: Vec<_> = candidates
        .iter()
        .map(|(id, ..)| ConfigurationId::parse(id).unwrap())
        .collect();
    let candidates: Vec<_> = ids
        .iter()
        .zip(candidates)
        .map(|(id, (_, priority, created, content))| Candidate {
            id,
            priority: *priority,
            created: Timestamp::from_unix_seconds(*created),
            content,
            held: false,
        })
        .collect();
    resolve(&candidates)
}

fn statuses(resolution: &Resolution) -> Vec<(&str, ConfigurationStatus)> {
    resolution
        .statuses
        .iter()
        .map(|(id, status)| (id.as_str(), *status))
        .collect()
}

fn module(resolution: &Resolution, name: &str) -> Value {
    resolution.modules.as_ref().unwrap()[&ModuleId::parse(name).unwrap()]
        .clone()
        .into()
}

#[test]
fn the_largest_priority_wins_and_losers_are_not_merged() {
    let (low, high) = (base(json!({"a": {"v": 1}})), base(json!({"b": {"v": 2}})));
    let result = resolved(&[("high", 20, 1, &high), ("low", 10, 2, &low)]);
    assert_eq!(statuses(&result), [("high", Applied), ("low", Targeted)]);
    assert_eq!(
        module(&result, "$edgeAgent")["modules"],
        json!({"b": {"v": 2}})
    );
}

#[test]
fn the_latest_created_wins_a_tie() {
    let (old, new) = (base(json!({"a": {}})), base(json!({"b": {}})));
    let result = resolved(&[("new", 10, 2, &new), ("old", 10, 1, &old)]);
    assert_eq!(statuses(&result), [("new", Applied), ("old", Targeted)]);
}

#[test]
fn layers_replace_what_they_name_and_keep_the_rest() {
    let base = base(
        json!({"sensor": {"image": "one", "env": {"A": {"value": "1"}}}, "other": {"image": "x"}}),
    );
    let low = content(json!({
        "$edgeAgent": {"properties.desired.modules.sensor": {"image": "two"}, "properties.desired.modules.more": {"image": "m"}},
        "$edgeHub": {"properties.desired.routes.extra": "FROM /messages/modules/more INTO $upstream"},
        "sensor": {"properties.desired.interval": 10, "properties.desired.deep.er": true},
    }));
    let high = content(json!({
        "$edgeAgent": {"properties.desired.modules.more": {"image": "m2"}},
        "more": {"properties.desired": {"whole": 1}, "properties.desired.beside": 2},
    }));
    let result = resolved(&[
        ("base", 1, 1, &base),
        ("low", 2, 1, &low),
        ("high", 3, 1, &high),
    ]);
    assert_eq!(
        statuses(&result),
        [("base", Applied), ("high", Applied), ("low", Applied)]
    );
    assert_eq!(
        module(&result, "$edgeAgent")["modules"],
        json!({"sensor": {"image": "two"}, "other": {"image": "x"}, "more": {"image": "m2"}})
    );
    assert_eq!(
        module(&result, "$edgeHub")["routes"]
            .as_object()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        module(&result, "sensor"),
        json!({"interval": 10, "unit": "C", "deep": {"er": true}})
    );
    assert_eq!(module(&result, "more"), json!({"whole": 1, "beside": 2}));
    let names: Vec<_> = module_names(result.modules.as_ref().unwrap()).collect();
    assert_eq!(names, ["more", "other", "sensor"]);
}

#[test]
fn a_whole_section_overwrites_what_lower_priorities_gave() {
    let base = base(json!({}));
    let layer = content(json!({"sensor": {"properties.desired": {"only": 1}}}));
    let result = resolved(&[("base", 1, 1, &base), ("layer", 2, 1, &layer)]);
    assert_eq!(module(&result, "sensor"), json!({"only": 1}));
}

#[test]
fn layers_need_a_base_below_them() {
    let base = base(json!({}));
    let layer = content(json!({"sensor": {"properties.desired.interval": 9}}));
    let without = resolved(&[("layer", 5, 1, &layer)]);
    assert_eq!(
        (statuses(&without), &without.modules),
        (vec![("layer", Targeted)], &None)
    );
    for priority in [4, 5] {
        let result = resolved(&[("base", 5, 1, &base), ("layer", priority, 2, &layer)]);
        assert_eq!(statuses(&result), [("base", Applied), ("layer", Targeted)]);
        assert_eq!(module(&result, "sensor")["interval"], 5);
    }
}

#[test]
fn no_candidates_change_nothing() {
    assert_eq!(resolve(&[]), Resolution::default());
}

#[test]
fn faults_name_their_path() {
    for (value, wanted) in [
        (
            json!([]),
            "content at 'modulesContent': an object was expected",
        ),
        (json!({"a b": {}}), "content at 'modulesContent.a b'"),
        (
            json!({"m": 1}),
            "content at 'modulesContent.m': an object was expected",
        ),
        (
            json!({"m": {"desired": {}}}),
            "content at 'modulesContent.m.desired': a key",
        ),
        (
            json!({"m": {"properties.desired": 1}}),
            "content at 'modulesContent.m.properties.desired': an object",
        ),
        (
            json!({"m": {"properties.desired": {"a": {"b c": 1}}}}),
            "'modulesContent.m.properties.desired.a.b c': has ' '",
        ),
        (
            json!({"$edgeAgent": {"properties.desired.systemModules.edgeHub": {}}}),
            "a layer cannot set system modules",
        ),
        (
            json!({"$edgeAgent": {"properties.desired": {"modules": {"a/b": {}}}}}),
            "contains '/'",
        ),
    ] {
        let error = Content::parse(&value).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let many: Map<_, _> = (0..51).map(|n| (format!("m{n}"), json!({}))).collect();
    assert!(
        Content::parse(&many.into())
            .unwrap_err()
            .to_string()
            .contains("more than 50 modules")
    );
}

fn whole(agent: Value, hub: Value) -> Value {
    json!({"$edgeAgent": {"properties.desired": agent}, "$edgeHub": {"properties.desired": hub}})
}

fn with_module(module: Value) -> Value {
    whole(
        json!({"schemaVersion": "1.1", "modules": {"m": module}}),
        json!({}),
    )
}

/// Contents with a value that no agent takes, and where it is.
fn refused_contents() -> Vec<(Value, String)> {
    let module = "$edgeAgent.properties.desired.modules.m";
    let settings = |settings: Value| with_module(json!({"settings": settings}));
    let route = |route: Value| whole(json!({}), json!({"routes": {"r": route}}));
    vec![
        (
            with_module(json!({"status": "on"})),
            format!("{module}.status"),
        ),
        (
            with_module(json!({"restartPolicy": "sometimes"})),
            format!("{module}.restartPolicy"),
        ),
        (
            with_module(json!({"imagePullPolicy": 1})),
            format!("{module}.imagePullPolicy"),
        ),
        (
            with_module(json!({"startupOrder": -1})),
            format!("{module}.startupOrder"),
        ),
        (
            with_module(json!({"env": {"A": {"value": []}}})),
            format!("{module}.env.A.value"),
        ),
        (with_module(json!({"type": "vm"})), format!("{module}.type")),
        (with_module(json!(1)), module.to_owned()),
        (
            settings(json!({"image": 1})),
            format!("{module}.settings.image"),
        ),
        (
            settings(json!({"image": "i", "createOptions": "{"})),
            format!("{module}.settings.createOptions"),
        ),
        (
            settings(json!({"image": "i", "createOptions": {"HostConfig": {"Binds": {}}}})),
            format!("{module}.settings.createOptions.HostConfig.Binds"),
        ),
        (
            whole(
                json!({"runtime": {"settings": {"registryCredentials": {"r": {}}}}}),
                json!({}),
            ),
            "$edgeAgent.properties.desired.runtime.settings.registryCredentials.r.address"
                .to_owned(),
        ),
        (
            route(json!(1)),
            "$edgeHub.properties.desired.routes.r".to_owned(),
        ),
        (
            route(json!({"route": "FROM /* INTO $upstream", "priority": 10})),
            "$edgeHub.properties.desired.routes.r.priority".to_owned(),
        ),
    ]
}

#[test]
fn the_modules_of_layers_are_checked() {
    let layer = json!({"$edgeAgent": {"properties.desired.modules.m": {"startupOrder": "x"}}});
    let refused = Content::parse(&layer).unwrap_err().to_string();
    assert!(
        refused.contains("properties.desired.modules.m.startupOrder"),
        "{refused}"
    );
}

#[test]
fn what_no_agent_takes_is_refused_with_its_path() {
    for (content, path) in refused_contents() {
        match Content::parse(&content) {
            Err(ConfigurationError::Content { path: found, .. }) => {
                assert_eq!(found, format!("modulesContent.{path}"), "{content}");
            }
            other => panic!("{content}: {other:?}"),
        }
    }
}

#[test]
fn what_is_merely_useless_is_accepted_with_a_warning() {
    let good = json!({"schemaVersion": "1.1", "systemModules": {},
        "modules": {"m": {"settings": {"image": "i", "createOptions": "{}"}}}});
    let routes = json!({"routes": {"r": "FROM /* INTO $upstream"}});
    let warnings = |content: &Value| Content::parse(content).unwrap().warnings();
    assert!(warnings(&whole(good.clone(), routes)).is_empty());
    for (content, wanted) in [
        (with_module(json!({})), "m.settings.image is missing"),
        (
            whole(json!({"schemaVersion": "2.0"}), json!({})),
            "schemaVersion \"2.0\"",
        ),
        (
            whole(good, json!({"routes": {"r": "upstream"}})),
            "routes.r is not FROM",
        ),
        (
            with_module(json!({"settings": {"image": "i", "createOptions": {"Hostconfigg": {}}}})),
            "createOptions.Hostconfigg is not known",
        ),
    ] {
        let found = warnings(&content);
        assert!(found.iter().any(|text| text.contains(wanted)), "{found:?}");
    }
    let part = json!({"$edgeAgent": {"properties.desired.modules.m.env": {"A": {"value": "1"}}}});
    assert!(warnings(&part).is_empty());
}
