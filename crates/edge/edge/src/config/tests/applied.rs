//! The applied copy of `config.toml`, and its changes.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn secrets_do_not_show_in_the_differences() {
    let new = GOOD
        .replace("0ne1", "0ne2")
        .replace("hostname = \"d1\"\n", "")
        + "[agent.env]\nTOKEN = \"hunter2\"\n";
    let printed: Vec<String> = changes(GOOD, &new)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        printed,
        [
            "+ agent.env.TOKEN = (hidden)",
            "~ provisioning.id_scope = \"0ne2\" (was \"0ne1\")",
            "- hostname = \"d1\"",
        ]
    );
}

#[test]
fn the_applied_copy_is_private_and_its_changes_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00-super.toml");
    assert!(read_applied(&path).unwrap().is_none());
    write_applied(&path, Path::new("/etc/aziot/config.toml"), GOOD).unwrap();
    assert_eq!(read_applied(&path).unwrap().as_deref(), Some(GOOD));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("0ne1", "0ne9")).unwrap();
    assert!(matches!(read_applied(&path), Err(ApplyError::Altered(_))));
}

#[test]
fn another_encoding_is_refused_and_an_open_file_is_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let problem = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        match examine_file(&path, ids::Timestamp::from_unix_seconds(0)).unwrap_err() {
            ApplyError::Faults { faults, .. } => faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
            other => panic!("{other}"),
        }
    };
    let wide: Vec<u8> = std::iter::once(0xfeff)
        .chain(GOOD.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(problem(&wide), "the file is UTF-16 text; save it as UTF-8");
    let latin = [b"# a\n# caf\xe9\n", GOOD.as_bytes()].concat();
    assert_eq!(
        problem(&latin),
        "line 2: the byte 0xe9 in this line is not UTF-8; save the file as UTF-8"
    );
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let open = problem(GOOD.as_bytes());
    assert!(
        open.contains("can be written by everybody (mode 0666); run: chmod 600"),
        "{open}"
    );
}

/// D14.
#[test]
fn variables_of_the_agent_that_have_no_effect_are_noted() {
    let env = "[agent.env]\nFoo = \"1\"\nMaxRestartCount = \"many\"\nhttps_proxy = \"http://p\"\n";
    let (_, faults) = Config::parse(&(GOOD.to_owned() + env)).unwrap();
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let of_agent: Vec<&String> = texts
        .iter()
        .filter(|text| text.contains("agent.env"))
        .collect();
    assert_eq!(of_agent.len(), 2, "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.contains("Foo is a variable that nobody reads"))
    );
    assert!(
        texts
            .iter()
            .any(|text| text.contains("MaxRestartCount: \"many\""))
    );
}
