//! A Rust file as the rules see it: its code with comments and strings
//! blanked, its strings apart, and which lines are tests.

/// One source file, cut in a single pass. No parser: the rules need lines.
pub(crate) struct Source {
    pub(crate) path: String,
    /// The code by line; comments and the inside of strings are blanks.
    pub(crate) code: Vec<String>,
    /// Every string literal's inside with the line it begins on, from 1.
    pub(crate) strings: Vec<(usize, String)>,
    /// The lines, from 0, that belong to `#[cfg(test)]` items.
    tests: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (masked, strings) = mask(text);
        let code: Vec<String> = masked.lines().map(str::to_owned).collect();
        let tests = test_lines(&code);
        Self {
            path: path.to_owned(),
            code,
            strings,
            tests,
        }
    }

    /// The crate's folder name: `dps` of `crates/cloud/dps/src/…`.
    pub(crate) fn krate(&self) -> &str {
        let mut parts = self.path.split('/');
        match parts.next() {
            Some("crates") => parts.nth(1).unwrap_or_default(),
            first => first.unwrap_or_default(),
        }
    }

    /// Whether this line (from 1) only runs in tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        let whole_file = self.path.contains("/tests/")
            || self.path.contains("/benches/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs");
        whole_file || self.tests.get(line - 1).copied().unwrap_or_default()
    }
}

/// Marks every `#[cfg(test)]` item from its attribute to its closing brace.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut tests = vec![false; code.len()];
    let mut at = 0;
    while at < code.len() {
        if code[at].trim_start().starts_with("#[cfg(test)]") {
            let end = item_end(code, at);
            tests[at..=end].fill(true);
            at = end;
        }
        at += 1;
    }
    tests
}

/// The line on which the item that starts at `start` ends: its matching brace,
/// or its semicolon when none opens before it.
pub(crate) fn item_end(code: &[String], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, line) in code.iter().enumerate().skip(start) {
        for letter in line.chars() {
            match letter {
                '{' => depth += 1,
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at;
                    }
                }
                ';' if depth == 0 => return at,
                _ => {}
            }
        }
    }
    code.len() - 1
}

/// Blanks comments and the inside of strings, keeps every line break.
fn mask(text: &str) -> (String, Vec<(usize, String)>) {
    let mut cutter = Cutter {
        rest: text,
        line: 1,
        code: String::with_capacity(text.len()),
        strings: Vec::new(),
    };
    while !cutter.rest.is_empty() {
        cutter.step();
    }
    (cutter.code, cutter.strings)
}

struct Cutter<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    strings: Vec<(usize, String)>,
}

impl<'a> Cutter<'a> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment_length(self.rest));
        } else if let Some(hashes) = raw_string_hashes(self.rest, self.code.chars().next_back()) {
            let opening = self.rest.find('"').map_or(self.rest.len(), |at| at + 1);
            self.keep(opening);
            let closing = format!("\"{}", "#".repeat(hashes));
            let end = self.rest.find(&closing).unwrap_or(self.rest.len());
            self.string(end);
            self.keep(closing.len().min(self.rest.len()));
        } else if self.rest.starts_with('"') {
            self.keep(1);
            self.string(string_length(self.rest));
            self.keep(1.min(self.rest.len()));
        } else if let Some(length) = char_literal_length(self.rest) {
            self.blank(length);
        } else {
            let length = self.rest.chars().next().map_or(1, char::len_utf8);
            self.keep(length);
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    fn keep(&mut self, length: usize) {
        let taken = self.take(length);
        self.code.push_str(taken);
    }

    fn blank(&mut self, length: usize) {
        let taken = self.take(length);
        let blanks = taken
            .chars()
            .map(|letter| if letter == '\n' { '\n' } else { ' ' });
        self.code.extend(blanks);
    }

    fn string(&mut self, length: usize) {
        self.strings
            .push((self.line, self.rest[..length].to_owned()));
        self.blank(length);
    }
}

/// Block comments nest.
fn block_comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// `r"`, `r#"`, `br#"`: the number of hashes, if this is where one begins.
fn raw_string_hashes(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
        return None;
    }
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a string's inside, up to its closing quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal; `None` for a lifetime.
fn char_literal_length(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        // The escaped letter itself may be a quote.
        let first = escape.chars().next()?.len_utf8();
        return escape[first..].find('\'').map(|end| 2 + first + end + 1);
    }
    let letter = inside.chars().next()?.len_utf8();
    inside[letter..].starts_with('\'').then_some(letter + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_kept_apart() {
        let source = Source::new(
            "crates/cloud/dps/src/a.rs",
            "let a = \"x{\"; // {\nlet b = r#\"y\"z\"#;\n",
        );
        assert!(!source.code.join("").contains('{'));
        let strings: Vec<_> = source
            .strings
            .iter()
            .map(|(line, text)| (*line, text.as_str()))
            .collect();
        assert_eq!(strings, [(1, "x{"), (2, "y\"z")]);
        assert_eq!(source.krate(), "dps");
    }

    #[test]
    fn a_lifetime_is_not_a_character() {
        let source = Source::new(
            "a.rs",
            "fn f<'a>(x: &'a str) { let q = '\\''; let b = '{'; }\n",
        );
        assert!(source.code[0].contains("&'a str"));
        assert_eq!(source.code[0].matches('{').count(), 1);
    }

    #[test]
    fn a_test_module_is_marked_to_its_end() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("crates/x/src/a.rs", text);
        let marks: Vec<bool> = (1..=6).map(|line| source.is_test(line)).collect();
        assert_eq!(marks, [false, true, true, true, true, false]);
    }

    #[test]
    fn an_outside_test_module_ends_at_its_semicolon() {
        let source = Source::new("a.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert!(source.is_test(2));
        assert!(!source.is_test(3));
    }
}
