use serde_json::Value;

use super::{Comparison, ConditionError};

/// A word, sign or literal of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Dotted names; the keywords too.
    Name(Vec<String>),
    Literal(Value),
    Compare(Comparison),
    /// `(`, `)`, `[`, `]` or `,`.
    Sign(char),
    End,
}

/// Longest condition, in characters.
const LONGEST: usize = 16 * 1024;

/// Splits a condition. Each token comes with its position in characters.
pub(super) fn scan(text: &str) -> Result<Vec<(usize, Token)>, ConditionError> {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() > LONGEST {
        return Err(error(
            LONGEST,
            format!("the condition is longer than {LONGEST} characters"),
        ));
    }
    let mut scanner = Scanner { characters, at: 0 };
    let mut tokens = Vec::new();
    loop {
        scanner.skip(char::is_whitespace);
        let position = scanner.at;
        let token = scanner.token()?;
        let done = token == Token::End;
        tokens.push((position, token));
        if done {
            return Ok(tokens);
        }
    }
}

pub(super) fn error(position: usize, problem: impl Into<String>) -> ConditionError {
    ConditionError {
        position,
        problem: problem.into(),
    }
}

struct Scanner {
    characters: Vec<char>,
    at: usize,
}

fn name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '#' | '@' | '%')
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
        self.characters[start..self.at].iter().collect()
    }

    fn token(&mut self) -> Result<Token, ConditionError> {
        let Some(first) = self.peek(0) else {
            return Ok(Token::End);
        };
        match first {
            '\'' => self.text(),
            '"' => Err(error(self.at, "texts stand in single quotes")),
            '(' | ')' | ']' | ',' => Ok(self.sign(first)),
            '[' if self.peek(1) != Some('[') => Ok(self.sign(first)),
            '=' | '!' | '<' | '>' => self.comparison(first),
            '-' | '+' | '0'..='9' => self.number(),
            c if c.is_alphabetic() || c == '_' || c == '[' => self.name(),
            other => Err(error(self.at, format!("{other:?} has no meaning here"))),
        }
    }

    fn sign(&mut self, sign: char) -> Token {
        self.at += 1;
        Token::Sign(sign)
    }

    fn comparison(&mut self, first: char) -> Result<Token, ConditionError> {
        let (comparison, length) = match (first, self.peek(1)) {
            ('!', Some('=')) | ('<', Some('>')) => (Comparison::NotEqual, 2),
            ('<', Some('=')) => (Comparison::LessOrEqual, 2),
            ('>', Some('=')) => (Comparison::GreaterOrEqual, 2),
            ('=', _) => (Comparison::Equal, 1),
            ('<', _) => (Comparison::Less, 1),
            ('>', _) => (Comparison::Greater, 1),
            _ => {
                return Err(error(
                    self.at,
                    "'!' stands only in '!='; to negate write NOT",
                ));
            }
        };
        self.at += length;
        Ok(Token::Compare(comparison))
    }

    fn text(&mut self) -> Result<Token, ConditionError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('\''), Some('\'')) => {
                    text.push('\'');
                    self.at += 2;
                }
                (Some('\\'), Some(quoted @ ('\'' | '"' | '\\'))) => {
                    text.push(quoted);
                    self.at += 2;
                }
                (Some('\\'), Some('u')) => text.push(self.unicode()?),
                (Some('\''), _) => {
                    self.at += 1;
                    return Ok(Token::Literal(text.into()));
                }
                (Some(other), _) => {
                    text.push(other);
                    self.at += 1;
                }
                (None, _) => {
                    return Err(error(
                        start,
                        "the text that begins here has no closing quote; a quote behind a backslash is part of it",
                    ));
                }
            }
        }
    }

    /// `\uXXXX`, and two of them for a character beyond the first plane.
    fn unicode(&mut self) -> Result<char, ConditionError> {
        let start = self.at;
        let fault = || {
            error(
                start,
                "'\\u' is followed by four hexadecimal digits of a character",
            )
        };
        let mut units = Vec::new();
        while units.len() < 2 && (self.peek(0), self.peek(1)) == (Some('\\'), Some('u')) {
            let digits: String = (2..6).filter_map(|ahead| self.peek(ahead)).collect();
            let hexadecimal = digits.len() == 4 && digits.bytes().all(|d| d.is_ascii_hexdigit());
            let unit = u16::from_str_radix(&digits, 16)
                .ok()
                .filter(|_| hexadecimal);
            units.push(unit.ok_or_else(fault)?);
            self.at += 6;
            if let Some(Ok(whole)) = char::decode_utf16(units.iter().copied()).next() {
                return Ok(whole);
            }
        }
        Err(fault())
    }

    fn number(&mut self) -> Result<Token, ConditionError> {
        let start = self.at;
        self.at += 1;
        let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        self.skip(number);
        let text: String = self.characters[start..self.at].iter().collect();
        let value = text
            .trim_start_matches('+')
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite());
        let after = self.peek(0).is_some_and(name_char);
        match value.map(Value::from) {
            Some(value) if !after => Ok(Token::Literal(value)),
            _ => Err(error(start, "this is not a number")),
        }
    }

    /// Names joined by dots; `[[…]]` takes a name with other characters.
    fn name(&mut self) -> Result<Token, ConditionError> {
        let mut names = Vec::new();
        loop {
            let start = self.at;
            let name = match (self.peek(0), self.peek(1)) {
                (Some('['), Some('[')) => self.bracketed()?,
                _ => self.skip(name_char),
            };
            if name.is_empty() {
                return Err(error(start, "a property name was expected"));
            }
            names.push(name);
            if self.peek(0) != Some('.') {
                return Ok(Token::Name(names));
            }
            self.at += 1;
        }
    }

    fn bracketed(&mut self) -> Result<String, ConditionError> {
        let start = self.at;
        self.at += 2;
        let mut name = String::new();
        while let Some(next) = self.peek(0) {
            if next == ']' && self.peek(1) == Some(']') {
                self.at += 2;
                return Ok(name);
            }
            name.push(next);
            self.at += 1;
        }
        Err(error(start, "the '[[' that begins here has no ']]'"))
    }
}
