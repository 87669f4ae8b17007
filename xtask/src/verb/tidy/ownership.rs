//! Sole owners: SQL belongs to `store`, topics to `wire`.

use super::Findings;
use super::source::Source;

/// Beginnings of SQL statements. A bare `SELECT` is also the hub's query
/// language, so only one with a numbered parameter counts.
const SQL: [&str; 6] = [
    "INSERT INTO ",
    "CREATE TABLE ",
    "DELETE FROM ",
    "PRAGMA ",
    "INSERT OR ",
    "DROP TABLE ",
];

const TOPICS: [&str; 4] = [
    "$iothub/",
    "$dps/",
    "/messages/events",
    "/messages/devicebound",
];

/// Paths of HTTP, not topics.
const NOT_TOPICS: [&str; 1] = ["$iothub/websocket"];

pub(crate) fn look(source: &Source, findings: &mut Findings) {
    for (line, text) in &source.strings {
        if source.is_test(*line) || source.krate() == "xtask" {
            continue;
        }
        if source.krate() != "store" && is_sql(text) {
            findings.fault(
                &source.path,
                *line,
                "SQL outside store",
                "give `store` an operation of the domain and call it",
            );
        }
        // A path of HTTP begins with `/`, a topic does not.
        if source.krate() != "wire" && !text.starts_with('/') && has_topic(text) {
            findings.fault(
                &source.path,
                *line,
                "topic outside wire",
                "build and parse topics in `wire::topic`",
            );
        }
    }
}

fn is_sql(text: &str) -> bool {
    let statement = text.trim_start().trim_start_matches('\\').trim_start();
    SQL.iter().any(|start| statement.starts_with(start))
        || (statement.starts_with("SELECT ") && statement.contains("?1"))
}

fn has_topic(text: &str) -> bool {
    let rest = NOT_TOPICS
        .iter()
        .fold(text.to_owned(), |text, path| text.replace(path, ""));
    TOPICS.iter().any(|topic| rest.contains(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let mut findings = Findings::default();
        look(&Source::new(path, text), &mut findings);
        findings.faults.iter().map(|fault| fault.rule).collect()
    }

    #[test]
    fn sql_belongs_to_store() {
        let text = "const A: &str = \"INSERT INTO twins VALUES (?1)\";\n";
        assert!(rules("crates/cloud/store/src/twins.rs", text).is_empty());
        assert_eq!(
            rules("crates/cloud/hub/src/twin.rs", text),
            ["SQL outside store"]
        );
    }

    #[test]
    fn the_hubs_query_language_is_not_sql() {
        assert!(
            rules(
                "crates/cloud/hub/src/query.rs",
                "f(\"SELECT * FROM devices\");\n"
            )
            .is_empty()
        );
        assert_eq!(
            rules(
                "crates/cloud/hub/src/a.rs",
                "f(\"SELECT a FROM b WHERE c = ?1\");\n"
            )
            .len(),
            1
        );
    }

    #[test]
    fn topics_belong_to_wire_but_for_tests_and_comments() {
        let text = "f(\"$dps/registrations/res/\");\n";
        assert!(rules("crates/protocol/wire/src/topic.rs", text).is_empty());
        assert_eq!(
            rules("crates/cloud/dps/src/mqtt.rs", text),
            ["topic outside wire"]
        );
        assert!(
            rules(
                "crates/cloud/dps/src/mqtt.rs",
                &format!("#[cfg(test)]\nmod tests {{\n{text}}}\n")
            )
            .is_empty()
        );
        assert!(
            rules(
                "crates/cloud/dps/src/mqtt.rs",
                "// answers on $dps/registrations/res/\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn the_websocket_path_is_no_topic() {
        assert!(
            rules(
                "crates/cloud/muster/src/a.rs",
                "f(\"/$iothub/websocket\");\n"
            )
            .is_empty()
        );
    }
}
