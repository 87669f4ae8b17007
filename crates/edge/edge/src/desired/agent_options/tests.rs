use super::*;

fn read(config: &[(&str, &str)], deployment: &[(&str, &str)]) -> AgentOptions {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let config: Vec<_> = config.iter().map(own).collect();
    let deployment = deployment.iter().map(own).collect();
    AgentOptions::read(&config, Some(&deployment))
}

/// D14.
#[test]
fn limits_of_restarts_are_read_and_the_deployment_comes_first() {
    let options = read(
        &[("MaxRestartCount", "5"), ("cooloffTimeUnitInSeconds", "1")],
        &[
            ("MAXRESTARTCOUNT", "7"),
            ("IntensiveCareTimeInMinutes", "3"),
        ],
    );
    assert_eq!(
        options.limits,
        RestartLimits {
            first_pause: Duration::from_secs(1),
            most: 7,
            recovered_after: Duration::from_secs(180),
        }
    );
    assert_eq!(options.notes, [] as [&str; 0]);
    assert_eq!(read(&[], &[]).limits, RestartLimits::default());
}

#[test]
fn values_that_cannot_be_used_are_noted_and_the_usual_ones_hold() {
    let options = read(
        &[
            ("CoolOffTimeUnitInSeconds", "301"),
            ("MaxRestartCount", "many"),
            ("UpstreamProtocol", "Http"),
            ("https_proxy", "socks5://user:hunter2@proxy"),
        ],
        &[],
    );
    assert_eq!(options.limits, RestartLimits::default());
    assert!(!options.websocket && options.proxies == Proxies::default());
    assert_eq!(options.notes.len(), 4, "{:?}", options.notes);
    assert!(!options.notes.join("").contains("hunter2"));
}

#[test]
fn proxies_are_read_in_any_case_and_handed_to_modules_in_both() {
    let options = read(
        &[
            ("Https_Proxy", "http://proxy:1"),
            ("OWN", "x"),
            ("RuntimeLogLevel", "debug"),
        ],
        &[("NO_PROXY", "local")],
    );
    let expected = Proxies::parse(Some("http://proxy:1"), Some("local")).unwrap();
    assert_eq!(options.proxies, expected);
    let names: Vec<&str> = options
        .for_modules
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let both = ["https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"];
    assert_eq!(names, [&["RuntimeLogLevel"], both.as_slice()].concat());
}

#[test]
fn the_ways_to_the_hub_and_of_updates_are_read() {
    for (protocol, websocket) in [
        ("Mqtt", false),
        ("amqp", false),
        ("MqttWs", true),
        ("AMQPWS", true),
    ] {
        assert_eq!(
            read(&[("UpstreamProtocol", protocol)], &[]).websocket,
            websocket
        );
    }
    assert!(read(&[("ModuleUpdateMode", "WaitForAllPulls")], &[]).pull_first);
    let refresh = |seconds| read(&[("ConfigRefreshFrequencySecs", seconds)], &[]).refresh;
    assert_eq!(refresh("60"), Duration::from_secs(60));
    assert_eq!(refresh("0"), SHORTEST_REFRESH);
}

/// A program of the machine opens no port unless somebody asks for it.
#[test]
fn metrics_are_served_only_when_they_are_asked_for() {
    assert_eq!(read(&[], &[]).metrics, None);
    assert_eq!(read(&[("port", "1")], &[]).metrics, None);
    let metrics =
        |more: &[(&str, &str)]| read(&[("MetricsEnabled", "true")], more).metrics.unwrap();
    assert_eq!(metrics(&[]), ("127.0.0.1".to_owned(), 9600));
    assert_eq!(
        metrics(&[("host", "*"), ("port", "9")]),
        ("0.0.0.0".to_owned(), 9)
    );
}

#[test]
fn variables_that_nobody_reads_are_noted() {
    let notes = read(
        &[],
        &[
            ("Foo", "x"),
            ("storagefolder", "x"),
            ("MaxRestartCount", "1"),
        ],
    )
    .notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].contains("Foo is a variable that nobody reads"),
        "{notes:?}"
    );
    assert!(
        notes[1].contains("storagefolder has no effect"),
        "{notes:?}"
    );
}
