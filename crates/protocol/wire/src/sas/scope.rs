//! The resources that a token covers.

/// How ids of devices and modules are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IdCase {
    Exact,
    Ignored,
}

/// Whether the resource `granted` is `requested` or a parent of it, segment by segment. The
/// port of the host does not count; the host and the words between the ids are compared
/// without regard to case.
pub(super) fn contains(granted: &str, requested: &str, case: IdCase) -> bool {
    let segments = |text: &'_ str| -> Vec<String> {
        let mut folded: Vec<String> = Vec::new();
        for (index, segment) in text.trim_end_matches('/').split('/').enumerate() {
            let names_id = |word: &String| matches!(word.as_str(), "devices" | "modules" | "twins");
            let is_id = index % 2 == 0 && folded.last().is_some_and(names_id);
            folded.push(match index {
                0 => without_port(segment).to_ascii_lowercase(),
                _ if is_id && case == IdCase::Exact => segment.to_owned(),
                _ => segment.to_ascii_lowercase(),
            });
        }
        folded
    };
    let (granted, requested) = (segments(granted), segments(requested));
    !granted[0].is_empty() && requested.starts_with(&granted)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}
