use serde_json::Value;

use super::scan::{Token, error, scan};
use super::{ConditionError, Expression, Operand};

/// Deepest nesting of parentheses and `NOT`.
const DEPTH: usize = 64;

pub(super) fn parse(text: &str) -> Result<Expression, ConditionError> {
    let mut parser = Parser {
        tokens: scan(text)?,
        at: 0,
    };
    let expression = parser.any(0)?;
    match parser.peek() {
        Token::End => Ok(expression),
        _ => Err(parser.expected("AND, OR or the end")),
    }
}

struct Parser {
    /// Ends with [`Token::End`], which is never stepped over.
    tokens: Vec<(usize, Token)>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.at)
            .map_or(&Token::End, |(_, token)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
        token
    }

    fn position(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(0, |(position, _)| *position)
    }

    fn expected(&self, what: &str) -> ConditionError {
        let found = match self.peek() {
            Token::Name(names) => format!("'{}'", names.join(".")),
            Token::Literal(value) => format!("the value {value}"),
            Token::Compare(_) => "a comparison sign".to_owned(),
            Token::Sign(sign) => format!("'{sign}'"),
            Token::End => "the end".to_owned(),
        };
        error(
            self.position(),
            format!("{what} was expected, found {found}"),
        )
    }

    /// Steps over a keyword when it is next.
    fn keyword(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Token::Name(names)
            if names.len() == 1 && names.iter().all(|name| name.eq_ignore_ascii_case(word)));
        if is {
            self.next();
        }
        is
    }

    fn any(&mut self, depth: usize) -> Result<Expression, ConditionError> {
        let first = self.all(depth)?;
        let mut parts = vec![first];
        while self.keyword("OR") {
            parts.push(self.all(depth)?);
        }
        Ok(single_or(parts, Expression::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, ConditionError> {
        let first = self.one(depth)?;
        let mut parts = vec![first];
        while self.keyword("AND") {
            parts.push(self.one(depth)?);
        }
        Ok(single_or(parts, Expression::And))
    }

    fn one(&mut self, depth: usize) -> Result<Expression, ConditionError> {
        if depth > DEPTH {
            return Err(error(
                self.position(),
                format!("the condition nests deeper than {DEPTH} levels"),
            ));
        }
        if self.keyword("NOT") {
            return Ok(Expression::Not(Box::new(self.one(depth + 1)?)));
        }
        if *self.peek() == Token::Sign('(') {
            self.next();
            let inner = self.any(depth + 1)?;
            self.sign(')')?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn sign(&mut self, sign: char) -> Result<(), ConditionError> {
        match *self.peek() == Token::Sign(sign) {
            true => {
                self.next();
                Ok(())
            }
            false => Err(self.expected(&format!("'{sign}'"))),
        }
    }

    fn comparison(&mut self) -> Result<Expression, ConditionError> {
        let left = self.operand()?;
        if self.keyword("IN") {
            return Ok(Expression::In {
                left,
                list: self.list()?,
            });
        }
        if self.keyword("NIN") {
            let inside = Expression::In {
                left,
                list: self.list()?,
            };
            return Ok(Expression::Not(Box::new(inside)));
        }
        let Token::Compare(comparison) = *self.peek() else {
            return Err(self.expected("=, !=, <, <=, >, >= or IN"));
        };
        self.next();
        let right = self.operand()?;
        Ok(Expression::Compare {
            left,
            comparison,
            right,
        })
    }

    fn operand(&mut self) -> Result<Operand, ConditionError> {
        let what = "deviceId, tags.…, properties.reported.… or a value";
        let operand = match self.peek() {
            Token::Literal(value) => Operand::Literal(value.clone()),
            Token::Name(names) => property(names).ok_or_else(|| match is_remote(names) {
                true => error(
                    self.position(),
                    format!(
                        "'{}' is not offered yet; {what} was expected",
                        names.join(".")
                    ),
                ),
                false => self.expected(what),
            })?,
            _ => return Err(self.expected(what)),
        };
        self.next();
        Ok(operand)
    }

    fn list(&mut self) -> Result<Vec<Value>, ConditionError> {
        let close = match self.peek() {
            Token::Sign('[') => ']',
            Token::Sign('(') => ')',
            _ => return Err(self.expected("'[' and a list of values")),
        };
        self.next();
        let mut list = Vec::new();
        loop {
            match self.operand_literal() {
                Some(value) => list.push(value),
                None => return Err(self.expected("a value")),
            }
            if *self.peek() != Token::Sign(',') {
                self.sign(close)?;
                return Ok(list);
            }
            self.next();
        }
    }

    fn operand_literal(&mut self) -> Option<Value> {
        let value = match self.peek() {
            Token::Literal(value) => value.clone(),
            Token::Name(names) => literal_word(names)?,
            _ => return None,
        };
        self.next();
        Some(value)
    }
}

fn single_or(
    mut parts: Vec<Expression>,
    many: impl FnOnce(Vec<Expression>) -> Expression,
) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn literal_word(names: &[String]) -> Option<Value> {
    let [word] = names else { return None };
    match word.to_ascii_lowercase().as_str() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// Whether these name something of a twin that the imitated service looks at and this one does not.
fn is_remote(names: &[String]) -> bool {
    const FIELDS: &[&str] = &[
        "authenticationType",
        "capabilities",
        "cloudToDeviceMessageCount",
        "configurations",
        "connectionState",
        "connectionStateUpdatedTime",
        "deviceEtag",
        "deviceScope",
        "devices",
        "etag",
        "generationId",
        "lastActivityTime",
        "modelId",
        "moduleId",
        "parentScopes",
        "properties",
        "status",
        "statusReason",
        "statusUpdateTime",
        "statusUpdatedTime",
        "tags",
        "version",
        "x509Thumbprint",
    ];
    names
        .first()
        .is_some_and(|first| FIELDS.contains(&first.as_str()))
}

fn property(names: &[String]) -> Option<Operand> {
    match names {
        [only] if only == "deviceId" => Some(Operand::DeviceId),
        [first, rest @ ..] if first == "tags" && !rest.is_empty() => {
            Some(Operand::Tag(rest.to_vec()))
        }
        [first, second, rest @ ..]
            if first == "properties" && second == "reported" && !rest.is_empty() =>
        {
            Some(Operand::Reported(rest.to_vec()))
        }
        _ => literal_word(names).map(Operand::Literal),
    }
}
