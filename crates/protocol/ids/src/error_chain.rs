use std::error::Error;

/// An error and its causes as one line: `outer: inner: innermost`.
///
/// A cause that the text before it already ends with is left out, so that an error whose own text
/// quotes its source says it once.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Link {
        Link {
            text: texts[0],
            source: (texts.len() > 1).then(|| Box::new(chain(&texts[1..]))),
        }
    }

    #[test]
    fn every_cause_is_in_the_line_once() {
        for (texts, line) in [
            (&["a"][..], "a"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a: b", "b", "c"], "a: b: c"),
        ] {
            assert_eq!(error_chain(&chain(texts)), line);
        }
    }
}
