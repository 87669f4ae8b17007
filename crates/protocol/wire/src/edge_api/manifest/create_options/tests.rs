use serde_json::json;

use super::*;

fn read(options: Value) -> Result<CreateOptions, BodyError> {
    match options {
        Value::Object(map) => CreateOptions::read(map),
        other => panic!("{other}"),
    }
}

/// A value of the kind, and the same as people write it who think of another kind.
fn samples(kind: &Kind) -> (Value, Value) {
    match kind {
        Kind::Text => (json!("8080"), json!(8080)),
        Kind::Whole => (json!(5), json!("5")),
        Kind::Truth => (json!(true), json!("True")),
        Kind::Words => (json!(["w"]), json!("w")),
        Kind::List(of) => {
            let (right, odd) = samples(of);
            (json!([right]), json!([odd]))
        }
        Kind::Map(of) => {
            let (right, odd) = samples(of);
            (json!({ "aKey": right }), json!({ "aKey": odd }))
        }
        Kind::Members(known) => {
            let (mut right, mut odd) = (Map::new(), Map::new());
            for (at, (name, kind)) in known.iter().enumerate() {
                let (one, other) = samples(kind);
                right.insert((*name).to_owned(), one);
                odd.insert(odd_case(name, at), other);
            }
            (Value::Object(right), Value::Object(odd))
        }
    }
}

fn odd_case(name: &str, at: usize) -> String {
    let swap = |(index, c): (usize, char)| match (at % 3, index) {
        (0, _) => c.to_ascii_lowercase(),
        (1, _) => c.to_ascii_uppercase(),
        (_, 0) => c.to_ascii_lowercase(),
        (_, _) => c,
    };
    name.chars().enumerate().map(swap).collect()
}

/// D2, D4: every member of the engine's ContainerCreate, in odd case and of a kin kind,
/// becomes the engine's own.
#[test]
fn every_member_is_known_in_any_case() {
    let (right, odd) = samples(&Kind::Members(CONTAINER));
    let options = read(odd.clone()).unwrap();
    assert_eq!(Value::Object(options.body().clone()), right);
    assert_eq!(options.unknown(), [] as [&str; 0]);
    assert_eq!(options.given, odd.as_object().unwrap().clone());
}

/// D3: what no conversion makes right is refused where it is.
#[test]
fn wrong_kinds_are_refused_with_their_path() {
    for (options, path) in [
        (
            json!({"HostConfig": {"Binds": "/a:/b"}}),
            "HostConfig.Binds",
        ),
        (
            json!({"hostconfig": {"binds": {"a": 1}}}),
            "HostConfig.Binds",
        ),
        (json!({"env": {"A": "b"}}), "Env"),
        (json!({"Env": [{"A": "b"}]}), "Env[0]"),
        (json!({"ExposedPorts": ["80/tcp"]}), "ExposedPorts"),
        (json!({"HostConfig": []}), "HostConfig"),
        (
            json!({"HostConfig": {"Memory": "512m"}}),
            "HostConfig.Memory",
        ),
        (json!({"HostConfig": {"Memory": 1.5}}), "HostConfig.Memory"),
        (
            json!({"HostConfig": {"Privileged": "yes"}}),
            "HostConfig.Privileged",
        ),
        (
            json!({"HostConfig": {"PortBindings": {"80/tcp": {"HostPort": "80"}}}}),
            "HostConfig.PortBindings.80/tcp",
        ),
        (
            json!({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": [1]}]}}}),
            "HostConfig.PortBindings.80/tcp[0].HostPort",
        ),
        (json!({"Labels": {"a": {}}}), "Labels.a"),
        (json!({"Labels": ["a=b"]}), "Labels"),
        (json!({"Cmd": {"a": 1}}), "Cmd"),
    ] {
        let error = read(options.clone()).unwrap_err();
        assert_eq!(error.path, path, "{options}");
        assert!(error.problem.contains("was expected, found"), "{error}");
    }
}

#[test]
fn kin_kinds_are_converted_as_the_original_does() {
    let options = read(json!({
        "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostPort": 8080}], "81/tcp": null},
            "Privileged": "true", "OomKillDisable": 1, "Memory": "1024", "ShmSize": 64.0,
            "LogConfig": {"Type": "json-file", "Config": {"max-file": 3, "compress": true}},
        },
        "Env": ["A=1", 5],
        "User": null,
    }))
    .unwrap();
    assert_eq!(
        Value::Object(options.body().clone()),
        json!({
            "HostConfig": {
                "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": null},
                "Privileged": true, "OomKillDisable": true, "Memory": 1024, "ShmSize": 64,
                "LogConfig": {"Type": "json-file", "Config": {"max-file": "3", "compress": "true"}},
            },
            "Env": ["A=1", "5"],
        })
    );
}

/// D2: the engine reads two spellings of a member into one; a withheld privilege must not come
/// in by the second.
#[test]
fn two_spellings_are_one_member() {
    let options = read(json!({
        "HostConfig": {"Memory": 1, "Binds": ["/a:/a"]},
        "hostConfig": {"memory": 2},
        "Ho\u{17f}tConfig": {"Privileged": true, "binds": ["/b:/b"]},
        "\u{212a}ept": 1,
    }))
    .unwrap();
    assert_eq!(
        Value::Object(options.body().clone()),
        json!({"HostConfig": {"Memory": 2, "Binds": ["/b:/b"], "Privileged": true},
            "\u{212a}ept": 1})
    );
}

/// D2: what the table lacks goes on as it is, and is named.
#[test]
fn unknown_members_are_kept_and_named() {
    let options = read(
        json!({"NewThing": {"a": [1]}, "HostConfig": {"Newer": "x", "Memory": 1}, "name": "n",
        "Labels": {"AnyCase": "kept"}}),
    )
    .unwrap();
    assert_eq!(options.unknown(), ["NewThing", "HostConfig.Newer", "name"]);
    assert_eq!(options.body()["NewThing"], json!({"a": [1]}));
    assert_eq!(options.body()["HostConfig"]["Newer"], "x");
    assert_eq!(options.body()["Labels"]["AnyCase"], "kept");
}

#[test]
fn values_of_the_environment_are_left_out_of_reports() {
    let options = read(json!({"eNv": ["A=secret", "B"], "User": "1"})).unwrap();
    assert_eq!(
        Value::Object(options.without_values()),
        json!({"eNv": ["A", "B"], "User": "1"})
    );
}
