//! From tokens to the tree: `SELECT … FROM … WHERE … GROUP BY …`. Keywords in any letter case.

use super::ast::{Collection, Expression, Path, Query, Segment, Selection};
use super::lexer::{Quotes, Token, tokens};

mod expression;
mod names;
mod selection;

use names::resolve;

/// Longest text of a query or condition, in characters.
pub const MAX_TEXT: usize = 64 * 1024;
/// Deepest nesting of parentheses, `NOT`, signs and functions.
const MAX_DEPTH: usize = 64;
/// Most parts of one condition.
const MAX_NODES: usize = 2048;
/// Longest list of `IN`.
const MAX_LIST: usize = 1024;
/// The same of target conditions that earlier versions stored: all that their text can hold.
const MAX_STORED_NODES: usize = 16 * 1024;
const MAX_STORED_LIST: usize = 8 * 1024;
/// Most members of `SELECT`, and most paths of `GROUP BY`.
const MAX_ITEMS: usize = 64;

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: {problem}")]
pub struct ParseError {
    /// Characters from the start of the text, from 0.
    pub position: usize,
    /// What is wrong there, with what was expected.
    pub problem: String,
}

impl ParseError {
    pub(crate) fn new(position: usize, problem: impl Into<String>) -> Self {
        Self {
            position,
            problem: problem.into(),
        }
    }
}

/// How large a condition may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// Of what is written now.
    Usual,
    /// Of a target condition that is stored: earlier versions took larger ones.
    Stored,
}

/// Parses a condition alone: of a route, of a job, of a new deployment.
pub fn parse_condition(text: &str, quotes: Quotes) -> Result<Expression, ParseError> {
    parse_condition_within(text, quotes, Limits::Usual)
}

/// Parses a condition that may be as large as `limits` say.
pub fn parse_condition_within(
    text: &str,
    quotes: Quotes,
    limits: Limits,
) -> Result<Expression, ParseError> {
    let mut parser = Parser::new(text, quotes, limits)?;
    let expression = parser.condition()?;
    parser.end("AND, OR or the end")?;
    Ok(expression)
}

impl Query {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text, Quotes::Any, Limits::Usual)?;
        let mut query = parser.query()?;
        parser.end("the end")?;
        query.fingerprint = fingerprint(text);
        resolve(&mut query)?;
        Ok(query)
    }

    /// Parses a query without `SELECT`: `FROM devices.modules WHERE …`, as module configurations
    /// and jobs have it.
    pub fn parse_from(text: &str, quotes: Quotes, limits: Limits) -> Result<Self, ParseError> {
        let mut parser = Parser::new(text, quotes, limits)?;
        let from = parser.from()?;
        let condition = parser.where_clause()?;
        parser.end("AND, OR or the end")?;
        Self::of_condition(from, condition, text)
    }

    /// Parses what stands behind `WHERE`.
    pub fn parse_where(from: Collection, text: &str, quotes: Quotes) -> Result<Self, ParseError> {
        let condition = parse_condition(text, quotes)?;
        Self::of_condition(from, Some(condition), text)
    }

    fn of_condition(
        from: Collection,
        condition: Option<Expression>,
        text: &str,
    ) -> Result<Self, ParseError> {
        let mut query = Self {
            top: None,
            selection: Selection::All,
            from,
            condition,
            group_by: Vec::new(),
            fingerprint: fingerprint(text),
        };
        resolve(&mut query)?;
        Ok(query)
    }
}

/// FNV-1a.
fn fingerprint(text: &str) -> u64 {
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.trim().bytes().fold(0xcbf2_9ce4_8422_2325, add)
}

struct Parser {
    /// Ends with [`Token::End`], which is never stepped over.
    tokens: Vec<(usize, Token)>,
    at: usize,
    /// Parts of the condition so far.
    nodes: usize,
    max_nodes: usize,
    max_list: usize,
}

impl Parser {
    fn new(text: &str, quotes: Quotes, limits: Limits) -> Result<Self, ParseError> {
        let length = text.chars().count();
        if length > MAX_TEXT {
            let problem = format!("the text has {length} characters; {MAX_TEXT} are allowed");
            return Err(ParseError::new(MAX_TEXT, problem));
        }
        let (max_nodes, max_list) = match limits {
            Limits::Usual => (MAX_NODES, MAX_LIST),
            Limits::Stored => (MAX_STORED_NODES, MAX_STORED_LIST),
        };
        Ok(Self {
            tokens: tokens(text, quotes)?,
            at: 0,
            nodes: 0,
            max_nodes,
            max_list,
        })
    }

    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn position(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(0, |(position, _)| *position)
    }

    fn step(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
    }

    fn expected(&self, what: &str) -> ParseError {
        let found = match self.peek() {
            Token::Name(name) | Token::Raw(name) => format!("'{name}'"),
            Token::Member(name) => format!("'.{name}'"),
            Token::Literal(value) => format!("the value {value}"),
            Token::Compare(_) => "a comparison sign".to_owned(),
            Token::Operator(_) => "an arithmetic sign".to_owned(),
            Token::Sign(sign) => format!("'{sign}'"),
            Token::End => "the end".to_owned(),
        };
        ParseError::new(
            self.position(),
            format!("{what} was expected, found {found}"),
        )
    }

    fn end(&self, what: &str) -> Result<(), ParseError> {
        match self.peek() {
            Token::End => Ok(()),
            _ => Err(self.expected(what)),
        }
    }

    fn is_keyword(&self, word: &str) -> bool {
        let member = matches!(self.tokens.get(self.at + 1), Some((_, Token::Member(_))));
        !member && matches!(self.peek(), Token::Name(name) if name.eq_ignore_ascii_case(word))
    }

    /// Steps over a keyword when it is next.
    fn keyword(&mut self, word: &str) -> bool {
        let is = self.is_keyword(word);
        if is {
            self.step();
        }
        is
    }

    fn sign(&mut self, sign: char) -> bool {
        let is = *self.peek() == Token::Sign(sign);
        if is {
            self.step();
        }
        is
    }

    fn require_sign(&mut self, sign: char) -> Result<(), ParseError> {
        match self.sign(sign) {
            true => Ok(()),
            false => Err(self.expected(&format!("'{sign}'"))),
        }
    }

    fn query(&mut self) -> Result<Query, ParseError> {
        if !self.keyword("SELECT") {
            return Err(self.expected("SELECT"));
        }
        let top = match self.keyword("TOP") {
            true => Some(self.top()?),
            false => None,
        };
        let selection = self.selection()?;
        let from = self.from()?;
        let condition = self.where_clause()?;
        let group_by = match self.keyword("GROUP") {
            true if !self.keyword("BY") => return Err(self.expected("BY")),
            true => self.listed(Self::path, "GROUP BY")?,
            false => Vec::new(),
        };
        Ok(Query {
            top,
            selection,
            from,
            condition,
            group_by,
            fingerprint: 0,
        })
    }

    fn listed<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, ParseError>,
        clause: &str,
    ) -> Result<Vec<T>, ParseError> {
        let mut all = vec![one(self)?];
        while self.sign(',') {
            if all.len() == MAX_ITEMS {
                let problem = format!("{clause} may list {MAX_ITEMS} at most");
                return Err(ParseError::new(self.position(), problem));
            }
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn from(&mut self) -> Result<Collection, ParseError> {
        if !self.keyword("FROM") {
            return Err(self.expected("FROM"));
        }
        let what = "devices, devices.modules or devices.jobs";
        let (Token::Name(name), position) = (self.peek().clone(), self.position()) else {
            return Err(self.expected(what));
        };
        if !name.eq_ignore_ascii_case("devices") {
            return Err(self.expected(what));
        }
        self.step();
        let Token::Member(member) = self.peek().clone() else {
            return Ok(Collection::Devices);
        };
        self.step();
        match member.to_ascii_lowercase().as_str() {
            "modules" => Ok(Collection::Modules),
            "jobs" => Ok(Collection::Jobs),
            _ => Err(ParseError::new(
                position,
                format!("{what} was expected, found '{name}.{member}'"),
            )),
        }
    }

    fn where_clause(&mut self) -> Result<Option<Expression>, ParseError> {
        match self.keyword("WHERE") {
            true => self.condition().map(Some),
            false => Ok(None),
        }
    }

    /// `name.name[0]['name'].[[name]]`
    fn path(&mut self) -> Result<Path, ParseError> {
        let at = self.position();
        let (Token::Name(first) | Token::Raw(first)) = self.peek().clone() else {
            return Err(self.expected("a property"));
        };
        self.step();
        let mut segments = vec![Segment::Name(first)];
        loop {
            match self.peek().clone() {
                Token::Member(name) | Token::Raw(name) => {
                    self.step();
                    segments.push(Segment::Name(name));
                }
                Token::Sign('[') => {
                    self.step();
                    segments.push(self.bracketed()?);
                    self.require_sign(']')?;
                }
                _ => return Ok(Path { at, segments }),
            }
        }
    }

    /// `0` or `'name'`, inside of brackets.
    fn bracketed(&mut self) -> Result<Segment, ParseError> {
        let segment = match self.peek() {
            Token::Literal(value) => match (value.as_u64(), value.as_str()) {
                (Some(index), _) => usize::try_from(index).ok().map(Segment::Index),
                (_, Some(name)) => Some(Segment::Name(name.to_owned())),
                _ => None,
            },
            _ => None,
        };
        let segment = segment.ok_or_else(|| self.expected("the number or name of an element"))?;
        self.step();
        Ok(segment)
    }
}

#[cfg(test)]
mod tests;
