//! Size budgets: a page a file, a screen a function.

use super::Findings;
use super::source::{Source, item_end};

const FILE_TRIPWIRE: usize = 300;
const FILE_STOP: usize = 400;
const FUNCTION_TRIPWIRE: usize = 40;
const FUNCTION_STOP: usize = 60;

pub(crate) fn look(source: &Source, findings: &mut Findings) {
    let lines = source.code.len();
    if lines > FILE_STOP {
        findings.fault(
            &source.path,
            1,
            "file size",
            format!("{lines} lines, at most {FILE_STOP}; cut it where it has two subjects"),
        );
    } else if lines > FILE_TRIPWIRE {
        findings.tripwire(
            &source.path,
            1,
            "file size",
            format!("{lines} lines, meant are {FILE_TRIPWIRE}"),
        );
    }
    for (start, line) in source.code.iter().enumerate() {
        if !begins_function(line) {
            continue;
        }
        let length = item_end(&source.code, start) - start + 1;
        if length > FUNCTION_STOP {
            findings.fault(
                &source.path,
                start + 1,
                "function size",
                format!("{length} lines, at most {FUNCTION_STOP}; give its steps names"),
            );
        } else if length > FUNCTION_TRIPWIRE {
            findings.tripwire(
                &source.path,
                start + 1,
                "function size",
                format!("{length} lines, meant are {FUNCTION_TRIPWIRE}"),
            );
        }
    }
}

/// A line that begins a function's signature.
pub(crate) fn begins_function(line: &str) -> bool {
    let mut words = line.split_whitespace().skip_while(|word| {
        ["async", "const", "unsafe", "extern", "pub"].contains(word)
            || word.starts_with("pub(")
            || *word == "super)"
            || *word == "crate)"
    });
    words.next() == Some("fn")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Findings {
        let mut findings = Findings::default();
        look(&Source::new("crates/x/src/a.rs", text), &mut findings);
        findings
    }

    fn function(lines: usize) -> String {
        format!(
            "pub(crate) async fn long() {{\n{}}}\n",
            "    step();\n".repeat(lines - 2)
        )
    }

    #[test]
    fn a_screen_is_fine() {
        let findings = found(&function(40));
        assert!(findings.faults.is_empty() && findings.tripwires.is_empty());
    }

    #[test]
    fn two_screens_are_told_and_more_refused() {
        assert_eq!(found(&function(60)).tripwires.len(), 1);
        assert_eq!(found(&function(61)).faults[0].rule, "function size");
    }

    #[test]
    fn a_file_of_five_hundred_lines_is_refused() {
        let findings = found(&"const A: u8 = 1;\n".repeat(500));
        assert_eq!(findings.faults[0].rule, "file size");
        assert_eq!(found(&"const A: u8 = 1;\n".repeat(301)).tripwires.len(), 1);
    }

    #[test]
    fn a_brace_in_a_string_does_not_stretch_a_function() {
        let findings = found(&format!(
            "fn a() {{\n    b(\"{{\");\n}}\n{}",
            "const A: u8 = 1;\n".repeat(90)
        ));
        assert!(findings.faults.is_empty());
    }
}
