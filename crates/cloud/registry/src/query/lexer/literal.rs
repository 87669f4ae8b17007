//! Strings and numbers.

use super::{Json, Lexer, ParseError, Quotes, Token, is_name_char};

impl Lexer {
    /// A string up to its closing quote. A quote inside is doubled or behind a backslash.
    pub(super) fn string(&mut self, quote: char) -> Result<Token, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(first), Some(second)) if first == quote && second == quote => {
                    text.push(quote);
                    self.at += 2;
                }
                (Some('\\'), Some(escaped @ ('\'' | '"' | '\\'))) => {
                    text.push(escaped);
                    self.at += 2;
                }
                (Some('\\'), Some('u')) => text.push(self.unicode()?),
                (Some(first), _) if first == quote => {
                    self.at += 1;
                    return Ok(Token::Literal(text.into()));
                }
                // A backslash before anything else is itself.
                (Some(other), _) => {
                    text.push(other);
                    self.at += 1;
                }
                (None, _) => {
                    return Err(ParseError::new(
                        start,
                        "the string that begins here has no closing quote; \
                         a quote behind a backslash is part of it",
                    ));
                }
            }
        }
    }

    /// `\uXXXX`, and two of them for a character beyond the first plane.
    fn unicode(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        let fault = || {
            ParseError::new(
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

    /// Whether a dot begins `.5`, which target conditions have after a sign.
    pub(super) fn begins_fraction(&self) -> bool {
        self.quotes == Quotes::Single && self.peek(1).is_some_and(|c| c.is_ascii_digit())
    }

    /// `12`, `1.5e-3`, `0x1F`; in target conditions `1.` and `.5`.
    pub(super) fn number(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let value = match (self.peek(0), self.peek(1)) {
            (Some('0'), Some('x' | 'X')) => self.hexadecimal(),
            _ => self.decimal(),
        };
        // "1x", and "1.tags": neither a number nor a path.
        let followed = self.peek(0).is_some_and(|c| is_name_char(c) || c == '.');
        match value {
            Some(value) if !followed || self.peek(0) == Some('-') => Ok(Token::Literal(value)),
            _ => Err(ParseError::new(start, "this is not a number")),
        }
    }

    fn hexadecimal(&mut self) -> Option<Json> {
        self.at += 2;
        let digits = self.take_while(|c| c.is_ascii_hexdigit());
        u64::from_str_radix(&digits, 16).ok().map(Json::from)
    }

    fn decimal(&mut self) -> Option<Json> {
        let mut text = self.take_while(|c| c.is_ascii_digit());
        let fraction = self.peek(1).is_some_and(|c| c.is_ascii_digit());
        if self.peek(0) == Some('.') && (fraction || self.quotes == Quotes::Single) {
            self.at += 1;
            text.push('.');
            text += &self.take_while(|c| c.is_ascii_digit());
        }
        if matches!(self.peek(0), Some('e' | 'E')) {
            self.at += 1;
            text.push('e');
            if let Some(sign @ ('+' | '-')) = self.peek(0) {
                self.at += 1;
                text.push(sign);
            }
            text += &self.take_while(|c| c.is_ascii_digit());
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Some(whole.into());
        }
        let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
        value.map(Json::from)
    }
}
