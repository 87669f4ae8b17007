//! `additional_info`: texts of the owner that `/systeminfo` shows.

use std::collections::BTreeMap;

/// What `/systeminfo` says itself.
const TAKEN: [&str; 12] = [
    "osType",
    "architecture",
    "version",
    "server_version",
    "kernel_version",
    "operating_system",
    "cpus",
    "total_memory",
    "provisioning",
    "virtualized",
    "arch",
    "kernel",
];

/// Reads TOML with texts only.
///
/// # Errors
/// What is wrong with the file.
pub fn read_additional_info(text: &str) -> Result<BTreeMap<String, String>, String> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| format!("it is not valid TOML: {}", error.message()))?;
    let mut found = BTreeMap::new();
    for (name, value) in table {
        if TAKEN.contains(&name.as_str()) {
            return Err(format!(
                "{name} is what the runtime says itself; choose another name"
            ));
        }
        let toml::Value::String(text) = value else {
            return Err(format!("{name} is not a text in quotes"));
        };
        found.insert(name, text);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_under_free_names_are_read() {
        let read = read_additional_info("site = \"north\"\nrack = \"7\"\n").unwrap();
        assert_eq!(read["site"], "north");
        for (text, expected) in [
            ("site = 7", "site is not a text"),
            ("architecture = \"x\"", "what the runtime says itself"),
            ("site", "not valid TOML"),
        ] {
            let problem = read_additional_info(text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
