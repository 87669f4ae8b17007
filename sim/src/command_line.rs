use anyhow::{Result, bail};

/// Splits a line as a shell does: at white space, except within `'…'` and `"…"`. A backslash
/// within `"…"`, or outside of quotes, takes the next character as it is.
pub(crate) fn split(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' | '"' => quoted(
                character,
                &mut characters,
                word.get_or_insert_with(String::new),
            )?,
            '\\' => match characters.next() {
                Some(next) => word.get_or_insert_with(String::new).push(next),
                None => bail!("the line ends in a backslash: {line}"),
            },
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_with(String::new).push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing quotation mark.
fn quoted(mark: char, rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<()> {
    while let Some(character) = rest.next() {
        match character {
            end if end == mark => return Ok(()),
            '\\' if mark == '"' => word.extend(rest.next()),
            other => word.push(other),
        }
    }
    bail!("a quotation mark {mark} has no end")
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_line_is_split_as_a_shell_does() {
        let cases: &[(&str, &[&str])] = &[
            ("dps  list ", &["dps", "list"]),
            ("--tags '{\"a\": 1}' -x", &["--tags", "{\"a\": 1}", "-x"]),
            (
                "-q \"tags.a = 'b'\" --name ''",
                &["-q", "tags.a = 'b'", "--name", ""],
            ),
            (r#"a\ b "c\"d" e'f g'"#, &["a b", "c\"d", "ef g"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), *words, "{line}");
        }
        for line in ["'a", "\"a", "a\\"] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
