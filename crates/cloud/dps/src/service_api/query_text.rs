//! The texts of queries over enrollments and registrations.

/// Whether a text asks for everything there is. `az` sends a Python representation of its query object; SDKs build
/// `select * from enrollments`, and people type `*`.
pub(crate) fn asks_for_all(text: &str) -> bool {
    let text = text.trim();
    let text = match text.starts_with('{') {
        true => represented(text),
        false => Some(text),
    };
    let Some(text) = text else {
        return true;
    };
    let text = text.trim().trim_end_matches(';').to_ascii_lowercase();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [] | ["*"] | ["select", "*"] => true,
        ["select", "*", "from", collection] => COLLECTIONS.contains(collection),
        _ => false,
    }
}

/// What SDKs call the collections; the path says which one is meant.
const COLLECTIONS: [&str; 7] = [
    "enrollments",
    "enrollmentgroups",
    "deviceregistrations",
    "registrations",
    "certificateauthorities",
    "devicecertificateissuers",
    "trustbundles",
];

/// The query in `{'additional_properties': {}, 'query': 'SELECT *'}`; `None` when there is none in it.
fn represented(text: &str) -> Option<&str> {
    let (_, rest) = text
        .split_once("'query':")
        .or_else(|| text.split_once("\"query\":"))?;
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|first| "'\"".contains(*first))?;
    let rest = &rest[1..];
    Some(rest.split_once(quote).map_or(rest, |(query, _)| query))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P11: a text with a condition is not answered as if it had none.
    #[test]
    fn what_clients_send_asks_for_all_and_conditions_do_not() {
        let all = [
            "",
            "*",
            "SELECT *",
            "select * from enrollments",
            " SELECT\n*  FROM enrollmentGroups ; ",
            "select * from deviceRegistrations",
            "{'additional_properties': {}, 'query': 'SELECT *'}",
            "{'query': \"select * from enrollments\"}",
            "{'additional_properties': {}, 'query': None}",
            "{}",
        ];
        for text in all {
            assert!(asks_for_all(text), "{text}");
        }
        let others = [
            "SELECT * WHERE provisioningStatus = 'disabled'",
            "select * from enrollments where registrationId = 'a'",
            "SELECT COUNT() FROM enrollments",
            "SELECT registrationId FROM enrollments",
            "DROP TABLE enrollments",
            "SELECT * FROM devices",
            "SELECT * FROM enrollments ORDER BY registrationId",
            "select *; select 1",
            "SELECT TOP 5 *",
            "anything",
            "{'additional_properties': {}, 'query': 'SELECT * WHERE a = 1'}",
            "{'query': \"DROP TABLE enrollments\"}",
        ];
        for text in others {
            assert!(!asks_for_all(text), "{text}");
        }
    }
}
