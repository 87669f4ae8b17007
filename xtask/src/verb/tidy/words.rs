//! Words that the field does not use, or uses for something else, with the word to write instead.
//! One noun has one name: on the wire, in code, in documents.

use super::Findings;
use super::source::Source;

/// Refused in every text: as a word, and as a part of an identifier (`is_elsewhere`, `ErrandKind`).
const WORDS: &[(&str, &str)] = &[
    ("underway", "pending"),
    ("errand", "remote task"),
    ("errands", "remote tasks"),
    ("elsewhere", "remote"),
    ("presume", "fast path, or remembered candidates"),
    ("presumed", "fast path, or remembered candidates"),
    ("presumption", "fast path, or remembered candidates"),
    ("regroup", "bump the group generation"),
    ("regroupings", "group generation"),
    ("leftover", "transaction effects"),
    ("vitals", "hub health"),
    ("lobby", "handshake queue"),
    ("reception", "acceptor"),
    ("crowded", "overloaded"),
    ("converse", "serve"),
    ("door", "router, device API, service API"),
    ("doors", "router, device API, service API"),
    ("wish", "request body"),
    ("setback", "attempt error"),
    ("foresee", "preview, explain"),
    ("foreseen", "preview, explain"),
    ("foretold", "preview, explain"),
    ("verdict", "explanation, decision"),
    ("verdicts", "explanations, decisions"),
    ("whereabouts", "device location"),
    ("placing", "placement"),
    ("whoever", "name who: the client, the device, the operator"),
    ("whom", "name who: the client, the device, the operator"),
    ("mustread", "write timeout"),
];

/// Refused as whole identifiers, in code and in documents.
const NAMES: &[(&str, &str)] = &[
    ("again_or_never", "retry_or_fail"),
    ("go_on", "resume"),
    ("hosts_covered", "await_certificate_for_hosts"),
    ("may_turn_back", "nothing: units decide, then apply"),
    ("shake_hands", "handshake"),
    ("death_of", "unhealthy_reason"),
    ("Spot", "LocatedDevice"),
    ("Placed", "CompletedPlacement"),
    ("Carried", "MovedData"),
    ("Settled", "PlacementOutcome"),
    ("Vitals", "HubHealth"),
    ("Seat", "ConnectionSlot"),
    ("Arrival", "Incoming"),
    ("Front", "Router"),
    ("Board", "SharedState"),
    ("Situation", "CloudState"),
    ("Shown", "Status, or what it describes"),
    ("Reach", "AgentHandle"),
    ("Spread", "Jitter"),
    ("Book", "AuditStream"),
    ("Chains", "HashChain"),
    ("Ticket", "PendingHandle"),
    ("Trial", "explain"),
    (
        "told",
        "a verb that says what happens: describe, notify, log",
    ),
    (
        "judge",
        "a verb that says what happens: decide, parse, verify",
    ),
];

/// Refused as they stand, in every text.
const PHRASES: &[(&str, &str)] = &[
    ("is none.", "is not a valid …"),
    ("is none,", "is not a valid …"),
    ("is none of", "is not one of"),
    ("gone on with", "resumed"),
    ("the operator, he", "the operator"),
    (" his operator", "the operator"),
];

/// Looks at one text file. `source` is its code, when it is Rust.
pub(crate) fn look(path: &str, text: &str, source: Option<&Source>, findings: &mut Findings) {
    if is_history(path) {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        for (word, instead) in found_words(line).chain(found_phrases(line)) {
            report(path, number, word, instead, findings);
        }
        let code = source.map_or(line, |source| {
            source.code.get(number).map_or("", String::as_str)
        });
        for (word, instead) in found_names(code, source.is_some()) {
            report(path, number, word, instead, findings);
        }
    }
}

fn report(path: &str, number: usize, word: &str, instead: &str, findings: &mut Findings) {
    let advice = format!("`{word}` is not a word of the field; write: {instead}");
    findings.fault(path, number + 1, "word", advice);
}

/// What was written once and is not rewritten: migrations, the history of changes, licences,
/// recorded answers of others; and this list.
fn is_history(path: &str) -> bool {
    path.contains("/migrations/")
        || path.contains("/fixtures/")
        || path.starts_with("fuzz/seeds/")
        || path == "CHANGELOG.md"
        || path == "LICENSE"
        || path == "xtask/src/verb/tidy/words.rs"
        || path.ends_with(".lock")
        || path.ends_with("package-lock.json")
}

fn found_words(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lower = line.to_lowercase();
    // Most lines hold none of them: only the others are cut into words.
    let likely = WORDS.iter().filter(move |(word, _)| lower.contains(word));
    likely
        .filter(move |(word, _)| parts(line).iter().any(|part| part == word))
        .copied()
}

fn found_phrases(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    PHRASES
        .iter()
        .filter(move |(phrase, _)| line.contains(phrase))
        .copied()
}

/// In a document only what looks like code is an identifier: lower-case names are words there.
fn found_names(line: &str, is_code: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    NAMES
        .iter()
        .filter(move |(name, _)| {
            (is_code || name.contains('_'))
                && line.contains(name)
                && identifiers(line).any(|found| found == *name)
        })
        .copied()
}

fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

/// The words of a line in lower case, identifiers cut at `_` and before capitals.
fn parts(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for letter in line.chars() {
        let begins = letter.is_ascii_uppercase() && was_lower;
        if !letter.is_alphanumeric() || begins {
            parts.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase() || letter.is_ascii_digit();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        let source = path.ends_with(".rs").then(|| Source::new(path, text));
        look(path, text, source.as_ref(), &mut findings);
        let advice = findings.faults.into_iter().map(|fault| fault.advice);
        advice.collect()
    }

    #[test]
    fn an_old_word_is_found_as_a_word_and_inside_identifiers() {
        for text in [
            "an errand at a hub",
            "let is_elsewhere = 1;",
            "struct ErrandKind;",
        ] {
            assert_eq!(faults("crates/x/src/a.rs", text).len(), 1, "{text}");
        }
        assert_eq!(faults("docs/a.md", "It is UNDERWAY.").len(), 1);
    }

    #[test]
    fn a_longer_word_is_another_word() {
        assert!(faults("docs/a.md", "a doorway, indoors, a conversation").is_empty());
    }

    #[test]
    fn names_are_refused_in_code_and_not_in_prose() {
        assert_eq!(faults("crates/x/src/a.rs", "fn told() {}").len(), 1);
        assert!(faults("crates/x/src/a.rs", "// We are told so.").is_empty());
        assert!(faults("docs/a.md", "Reach the hub. Seat belts.").is_empty());
        assert_eq!(faults("docs/a.md", "`may_turn_back` is gone").len(), 1);
    }

    #[test]
    fn history_is_left_alone() {
        assert!(faults("CHANGELOG.md", "errands").is_empty());
        assert!(faults("crates/cloud/store/migrations/0001/up.sql", "errands").is_empty());
    }
}
