//! Splits the text of a query into tokens.

use serde_json::Value as Json;

use super::ast::{Comparison, Operator};
use super::parse::ParseError;

mod literal;

/// Which strings a text may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// `'…'` and `"…"`: queries and routes.
    Any,
    /// `'…'` only: target conditions. They also take what earlier versions stored: `%` inside of
    /// names, and numbers as `1.` and `-.5`.
    Single,
}

/// A word, sign or literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword, a function or the first name of a path.
    Name(String),
    /// `[[…]]`: a name as it stands.
    Raw(String),
    /// `.name` or `.[[…]]`: another name of the path before it.
    Member(String),
    /// A string or a number.
    Literal(Json),
    Compare(Comparison),
    Operator(Operator),
    /// `(`, `)`, `[`, `]` or `,`.
    Sign(char),
    End,
}

/// Splits a text. Each token comes with its position in characters; the last is [`Token::End`].
pub(super) fn tokens(text: &str, quotes: Quotes) -> Result<Vec<(usize, Token)>, ParseError> {
    let mut lexer = Lexer {
        characters: text.chars().collect(),
        at: 0,
        quotes,
        after_sign: false,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.take_while(char::is_whitespace);
        let position = lexer.at;
        let token = lexer.token()?;
        let done = token == Token::End;
        lexer.after_sign = matches!(token, Token::Operator(Operator::Add | Operator::Subtract));
        tokens.push((position, token));
        if done {
            return Ok(tokens);
        }
    }
}

/// `-` stands inside of names (`tags.my-key`): the sign of a subtraction has a space before it.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '#' | '@')
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
    quotes: Quotes,
    /// Whether the token before is `+` or `-`.
    after_sign: bool,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
        self.characters[start..self.at].iter().collect()
    }

    fn take_name(&mut self) -> String {
        let percent = self.quotes == Quotes::Single;
        self.take_while(|c| is_name_char(c) || (percent && c == '%'))
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let Some(first) = self.peek(0) else {
            return Ok(Token::End);
        };
        match first {
            '\'' => self.string('\''),
            '"' if self.quotes == Quotes::Any => self.string('"'),
            '"' => Err(ParseError::new(
                self.at,
                "strings of a target condition stand in single quotes",
            )),
            '[' if self.peek(1) == Some('[') => self.raw_name().map(Token::Raw),
            '(' | ')' | '[' | ']' | ',' => Ok(self.step(Token::Sign(first))),
            '=' | '!' | '<' | '>' => self.comparison(first),
            '+' => Ok(self.step(Token::Operator(Operator::Add))),
            '-' => Ok(self.step(Token::Operator(Operator::Subtract))),
            '*' => Ok(self.step(Token::Operator(Operator::Multiply))),
            '/' => Ok(self.step(Token::Operator(Operator::Divide))),
            '%' => Ok(self.step(Token::Operator(Operator::Remainder))),
            '.' if self.after_sign && self.begins_fraction() => self.number(),
            '.' => self.member(),
            '0'..='9' => self.number(),
            c if c.is_alphabetic() || c == '_' || c == '$' => Ok(Token::Name(self.take_name())),
            other => Err(ParseError::new(
                self.at,
                format!("{other:?} has no meaning here"),
            )),
        }
    }

    fn step(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn comparison(&mut self, first: char) -> Result<Token, ParseError> {
        let (comparison, length) = match (first, self.peek(1)) {
            ('!', Some('=')) | ('<', Some('>')) => (Comparison::NotEqual, 2),
            ('<', Some('=')) => (Comparison::LessOrEqual, 2),
            ('>', Some('=')) => (Comparison::GreaterOrEqual, 2),
            ('=', Some('=')) => {
                return Err(ParseError::new(
                    self.at + 1,
                    "'=' compares; '==' is not known",
                ));
            }
            ('=', _) => (Comparison::Equal, 1),
            ('<', _) => (Comparison::Less, 1),
            ('>', _) => (Comparison::Greater, 1),
            _ => {
                return Err(ParseError::new(
                    self.at,
                    "'!' stands only in '!='; to negate write NOT",
                ));
            }
        };
        self.at += length;
        Ok(Token::Compare(comparison))
    }

    /// What follows a dot: a name, which may begin with a digit, or `[[…]]`.
    fn member(&mut self) -> Result<Token, ParseError> {
        self.at += 1;
        let name = match (self.peek(0), self.peek(1)) {
            (Some('['), Some('[')) => self.raw_name()?,
            _ => self.take_name(),
        };
        match name.is_empty() {
            true => Err(ParseError::new(
                self.at,
                "a property name was expected after '.'; [[…]] takes a name with other characters",
            )),
            false => Ok(Token::Member(name)),
        }
    }

    fn raw_name(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        self.at += 2;
        let mut name = String::new();
        while let Some(next) = self.peek(0) {
            if next == ']' && self.peek(1) == Some(']') {
                self.at += 2;
                return match name.is_empty() {
                    true => Err(ParseError::new(start, "'[[' and ']]' enclose a name")),
                    false => Ok(name),
                };
            }
            name.push(next);
            self.at += 1;
        }
        Err(ParseError::new(
            start,
            "the '[[' that begins here has no ']]'",
        ))
    }
}
