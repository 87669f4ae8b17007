//! What is measured over the whole workspace: the width of lines, the size of files, and how many
//! lines of documentation say nothing.

use super::Findings;
use super::source::Source;

const WIDTH: usize = 100;
/// Lines that may be wider, of ten thousand: texts that cannot be broken.
const WIDE_OF_TEN_THOUSAND: usize = 20;
/// A file that is longer than nine of ten others has at most this many lines.
const NINTH_DECILE: usize = 280;
/// A line of documentation with no more words than this rarely says more than the name below it.
const FEW_WORDS: usize = 3;
/// Lines of documentation with few words, of a hundred.
const FEW_WORDS_OF_HUNDRED: usize = 8;

pub(crate) fn look(texts: &[(&Source, &str)], findings: &mut Findings) {
    width(texts, findings);
    files(texts, findings);
    documentation(texts, findings);
}

fn width(texts: &[(&Source, &str)], findings: &mut Findings) {
    let lines: usize = texts.iter().map(|(_, text)| text.lines().count()).sum();
    let wide: Vec<(&str, usize)> = texts
        .iter()
        .flat_map(|(source, text)| {
            let wide = text.lines().enumerate();
            let wide = wide.filter(|(_, line)| line.chars().count() > WIDTH);
            wide.map(|(number, _)| (source.path.as_str(), number + 1))
        })
        .collect();
    if wide.len() * 10_000 <= lines * WIDE_OF_TEN_THOUSAND {
        return;
    }
    for (path, number) in wide {
        let advice = format!("more than {WIDTH} columns; break it");
        findings.fault(path, number, "width", advice);
    }
}

fn files(texts: &[(&Source, &str)], findings: &mut Findings) {
    let mut sizes: Vec<usize> = texts.iter().map(|(_, text)| text.lines().count()).collect();
    sizes.sort_unstable();
    let decile = sizes.get(sizes.len() * 9 / 10).copied().unwrap_or_default();
    if decile > NINTH_DECILE {
        let advice = format!(
            "one file in ten has {decile} lines or more, {NINTH_DECILE} are meant; \
             cut the largest where they have two subjects"
        );
        findings.fault("crates", 1, "file sizes", advice);
    }
}

fn documentation(texts: &[(&Source, &str)], findings: &mut Findings) {
    let (mut all, mut few) = (0, Vec::new());
    for (source, text) in texts {
        for (number, line) in text.lines().enumerate() {
            let Some(words) = words_of_documentation(line) else {
                continue;
            };
            all += 1;
            if words <= FEW_WORDS {
                few.push((source.path.as_str(), number + 1));
            }
        }
    }
    if few.len() * 100 <= all * FEW_WORDS_OF_HUNDRED {
        return;
    }
    for (path, number) in few {
        let advice = "say what the name does not, or say nothing";
        findings.fault(path, number, "empty comment", advice);
    }
}

/// How many words a line of documentation has; `None` for another line and for an empty one.
fn words_of_documentation(line: &str) -> Option<usize> {
    let line = line.trim_start();
    let text = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"))?;
    let words = text.split_whitespace().count();
    (words > 0).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        let mut findings = Findings::default();
        let source = Source::new("crates/x/src/a.rs", text);
        look(&[(&source, text)], &mut findings);
        findings.faults.iter().map(|fault| fault.rule).collect()
    }

    #[test]
    fn a_wide_line_in_few_is_refused_and_one_in_many_is_not() {
        let wide = format!("// {}\n", "x".repeat(WIDTH));
        assert_eq!(rules(&wide), ["width"]);
    }

    #[test]
    fn one_wide_line_in_very_many_passes() {
        let wide = format!("// {}\n", "x".repeat(WIDTH));
        let mut findings = Findings::default();
        let text = format!("{wide}{}", "a\n".repeat(10_000 / WIDE_OF_TEN_THOUSAND));
        let source = Source::new("crates/x/src/a.rs", &text);
        width(&[(&source, &text)], &mut findings);
        assert!(findings.faults.is_empty());
    }

    #[test]
    fn large_files_are_refused_together() {
        assert_eq!(rules(&"a\n".repeat(NINTH_DECILE + 1)), ["file sizes"]);
    }

    #[test]
    fn comments_that_repeat_the_name_are_counted() {
        assert_eq!(rules("/// The hub.\nhub: Hub\n"), ["empty comment"]);
        assert!(rules("/// The hub that the device is assigned to.\nhub: Hub\n").is_empty());
        assert!(rules("// Three short words.\n").is_empty());
    }
}
