//! Words that the field does not use, or uses for something else, with the word to write instead.
//! One noun has one name: on the wire, in code, in documents, in file names.
//!
//! Some of them are ordinary English too. These stay, each in the sense that is named here; as
//! identifiers most of them are refused below.
//!
//! - `far`, `told`, `shown`, `tried`, `placed`, `settled`, `carried` as verbs or adverbs in
//!   sentences and in the names of tests ("as far as", "is told to poll", "tried again"); `tried`
//!   as a member of the answer to `explain`, which programs read.
//! - `place`, `places`: the verb, as in "place on a remote hub", and a position.
//! - `room`: free space. `line`: of text. `front`: of a queue. `spread`: of times. `arrival`: the
//!   order of packets and calls.
//! - `foreign`: a foreign key of SQL. `dead`: a container's state, as Docker calls it, and a dead
//!   end. `ticket`: of TLS. `mark`: the verb, and a byte order mark. `turn`: the client's in a
//!   retry schedule. `reach`: the verb.
//! - `authority`: of a URI (RFC 3986), in "certificate authority", in X.509's names of extensions,
//!   in the flag `--authority-days`, and in stored kinds of operator acts (`authority.put`).
//!   `anchor`: a trust anchor (RFC 5280).
//! - `resource`: what a token is for (`sr`), a metric's, and the machine's. `issuing`: what a CA
//!   does. `serve`, `serving`, `served`: what a server does with requests.
//! - `book`: a member of records that the audit hashed. `acts`: those of operators.
//! - `take`, `of`: as the standard library has them, `Option::take`, and for a view of what is
//!   given, `AuditLimits::of(stream)`.

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
    ("wishes", "asks for"),
    ("seat", "connection slot"),
    ("spot", "device location"),
    ("situation", "cloud state"),
    ("living", "healthy, running"),
    ("death", "unhealthy reason"),
    ("stall", "write timeout"),
    ("stalled", "write timeout"),
    ("judge", "decide, verify"),
    ("judges", "decides, verifies"),
    ("judged", "decided, verified"),
    ("he", "name who: the client, the device, the operator"),
    ("him", "name who: the client, the device, the operator"),
    (
        "his",
        "name whose: the client's, the device's, the operator's",
    ),
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
    ("Place", "DeviceLocation"),
    ("Places", "DeviceLocation"),
    ("Spot", "LocatedDevice"),
    ("Placed", "CompletedPlacement"),
    ("placed", "completed"),
    ("Carried", "MovedData"),
    ("carried", "moved_data"),
    ("Settled", "PlacementOutcome"),
    ("settled", "outcome"),
    ("settle", "finish, sync_identities"),
    ("Vitals", "HubHealth"),
    ("dead", "unhealthy"),
    ("far", "remote"),
    ("foreign", "remote, or of another service"),
    ("Seat", "ConnectionSlot"),
    ("Arrival", "Incoming"),
    ("Front", "Router"),
    ("Board", "SharedState"),
    ("Situation", "CloudState"),
    ("Shown", "Status, or what it describes"),
    ("shown", "presented, printed, answer"),
    ("Reach", "AgentHandle"),
    ("account", "report"),
    ("Line", "RetrySchedule"),
    ("Room", "Headroom"),
    ("Spread", "Jitter"),
    ("Mark", "credential_fingerprint"),
    ("Book", "AuditStream"),
    ("Chains", "HashChain"),
    ("Acts", "OperatorActs"),
    ("Question", "PendingStep, WebhookCall"),
    ("Ticket", "PendingHandle"),
    ("Trial", "explain"),
    ("tried", "comparisons, attempts"),
    ("anchor", "CA certificate, trust_anchor"),
    ("serving", "linked hub, policy, service"),
    ("served", "linked hub, policy, service"),
    (
        "told",
        "a verb that says what happens: describe, notify, log",
    ),
];

/// Refused as they stand, in every text.
const PHRASES: &[(&str, &str)] = &[
    ("is none.", "is not a valid …"),
    ("is none,", "is not a valid …"),
    ("is none:", "is not a valid …"),
    ("is none of", "is not one of"),
    ("is none for", "is not valid for"),
    ("and is none", "and is not a valid …"),
    ("gone on with", "resumed"),
    ("under way", "in progress, pending"),
    ("passed over", "skipped"),
    ("sent away", "throttled, refused"),
    ("the authority", "the CA certificate, the CA"),
    ("Question::", "PendingStep::"),
    ("Refused::turn", "RefusalLog::admit"),
    ("\"far\"", "remote"),
    ("hub far", "remote"),
];

/// Looks at one text file. `source` is its code, when it is Rust.
pub(crate) fn look(path: &str, text: &str, source: Option<&Source>, findings: &mut Findings) {
    if is_history(path) {
        return;
    }
    for (word, instead) in found_words(path) {
        report(path, 0, word, instead, findings);
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
        || path.contains("/tests/data/")
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
        assert!(faults("docs/a.md", "Reach the hub, on the Board.").is_empty());
        assert_eq!(faults("docs/a.md", "`may_turn_back` is gone").len(), 1);
    }

    #[test]
    fn names_of_files_are_looked_at() {
        assert_eq!(faults("crates/x/src/errand.rs", "").len(), 1);
    }

    #[test]
    fn history_is_left_alone() {
        assert!(faults("CHANGELOG.md", "errands").is_empty());
        assert!(faults("crates/cloud/store/migrations/0001/up.sql", "errands").is_empty());
    }
}
