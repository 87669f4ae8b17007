//! What a person reads while a verb runs.

use std::io::Write as _;
use std::time::Duration;

/// Prints one line on standard output at once. A closed pipe is not an error
/// of ours, so the result of the write is dropped on purpose.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", line.as_ref());
    let _ = out.flush();
}

/// Prints one line on standard error.
pub(crate) fn complain(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", line.as_ref());
}

/// Prints a heading with a blank line before it.
pub(crate) fn heading(line: impl AsRef<str>) {
    say(format!("\n== {}", line.as_ref()));
}

/// `1.2 s`, `340 ms`, `2 min 5 s`.
pub(crate) fn spell(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!(
            "{} min {} s",
            duration.as_secs() / 60,
            duration.as_secs() % 60
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_prose() {
        assert_eq!(spell(Duration::from_millis(340)), "340 ms");
        assert_eq!(spell(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(spell(Duration::from_secs(125)), "2 min 5 s");
    }
}
