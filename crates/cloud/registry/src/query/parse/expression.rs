//! Conditions. From what binds least: `OR`, `AND`, `NOT`, comparison and `IN`, `+ -`, `* / %`, the
//! sign of a number.

use serde_json::Value as Json;

use super::{MAX_DEPTH, ParseError, Parser};
use crate::query::ast::{Comparison, Expression, Node, Operator};
use crate::query::function::Function;
use crate::query::lexer::Token;

impl Parser {
    /// A whole condition. What can be neither true nor false is refused.
    pub(super) fn condition(&mut self) -> Result<Expression, ParseError> {
        let expression = self.any(0)?;
        self.truth(expression)
    }

    /// An expression that stands where true or false is asked for.
    fn truth(&self, expression: Expression) -> Result<Expression, ParseError> {
        let possible = match &expression.node {
            Node::Literal(value) => value.is_boolean() || value.is_null(),
            Node::Arithmetic(..) | Node::Negative(_) => false,
            Node::Call(function, _) => function.is_predicate(),
            _ => true,
        };
        match (possible, self.peek()) {
            (true, _) => Ok(expression),
            (false, Token::End) => Err(self.expected("=, !=, <, <=, >, >= or IN")),
            (false, _) => Err(ParseError::new(
                expression.at,
                "a condition was expected: this is never true or false",
            )),
        }
    }

    fn node(&mut self, at: usize, node: Node) -> Result<Expression, ParseError> {
        self.nodes += 1;
        match self.nodes > self.max_nodes {
            true => Err(ParseError::new(
                at,
                format!("a condition may have {} parts", self.max_nodes),
            )),
            false => Ok(Expression { at, node }),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, ParseError> {
        match depth < MAX_DEPTH {
            true => Ok(depth + 1),
            false => Err(ParseError::new(
                self.position(),
                format!("the condition nests deeper than {MAX_DEPTH} levels"),
            )),
        }
    }

    fn any(&mut self, depth: usize) -> Result<Expression, ParseError> {
        self.chain(depth, "OR", Self::all, Node::Or)
    }

    fn all(&mut self, depth: usize) -> Result<Expression, ParseError> {
        self.chain(depth, "AND", Self::negation, Node::And)
    }

    /// Parts joined by a keyword; one alone stays itself.
    fn chain(
        &mut self,
        depth: usize,
        word: &str,
        part: fn(&mut Self, usize) -> Result<Expression, ParseError>,
        join: fn(Vec<Expression>) -> Node,
    ) -> Result<Expression, ParseError> {
        let at = self.position();
        let first = part(self, depth)?;
        if !self.is_keyword(word) {
            return Ok(first);
        }
        let mut parts = vec![self.truth(first)?];
        while self.keyword(word) {
            let next = part(self, depth)?;
            parts.push(self.truth(next)?);
        }
        self.node(at, join(parts))
    }

    fn negation(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let at = self.position();
        if !self.keyword("NOT") {
            return self.comparison(depth);
        }
        let depth = self.deeper(depth)?;
        let inner = self.negation(depth)?;
        let inner = self.truth(inner)?;
        self.node(at, Node::Not(Box::new(inner)))
    }

    fn comparison(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let at = self.position();
        let left = self.sum(depth)?;
        if self.keyword("IN") {
            let list = self.list()?;
            return self.node(at, Node::In(Box::new(left), list));
        }
        if self.keyword("NIN") {
            let list = self.list()?;
            let inside = self.node(at, Node::In(Box::new(left), list))?;
            return self.node(at, Node::Not(Box::new(inside)));
        }
        let Token::Compare(comparison) = *self.peek() else {
            return Ok(left);
        };
        self.step();
        let right = self.sum(depth)?;
        if let Token::Compare(_) = self.peek() {
            return Err(self.expected("AND, OR or the end"));
        }
        self.node(at, compare(left, comparison, right))
    }

    fn sum(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let operators = [Operator::Add, Operator::Subtract];
        self.arithmetic(depth, &operators, Self::product)
    }

    fn product(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let operators = [Operator::Multiply, Operator::Divide, Operator::Remainder];
        self.arithmetic(depth, &operators, Self::signed)
    }

    fn arithmetic(
        &mut self,
        depth: usize,
        operators: &[Operator],
        part: fn(&mut Self, usize) -> Result<Expression, ParseError>,
    ) -> Result<Expression, ParseError> {
        let at = self.position();
        let first = part(self, depth)?;
        let mut rest = Vec::new();
        loop {
            match *self.peek() {
                Token::Operator(operator) if operators.contains(&operator) => {
                    self.step();
                    rest.push((operator, part(self, depth)?));
                }
                _ if rest.is_empty() => return Ok(first),
                _ => return self.node(at, Node::Arithmetic(Box::new(first), rest)),
            }
        }
    }

    fn signed(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let at = self.position();
        if let Some(number) = self.signed_number() {
            return self.node(at, Node::Literal(number));
        }
        let negative = match self.peek() {
            Token::Operator(Operator::Subtract) => true,
            Token::Operator(Operator::Add) => false,
            _ => return self.primary(depth),
        };
        self.step();
        let depth = self.deeper(depth)?;
        let inner = self.signed(depth)?;
        match (negative, &inner.node) {
            (true, Node::Literal(value)) => match negated(value) {
                Some(value) => self.node(at, Node::Literal(value)),
                None => Err(ParseError::new(at, "a number was expected after the sign")),
            },
            (true, _) => self.node(at, Node::Negative(Box::new(inner))),
            (false, Node::Literal(Json::Number(_))) => Ok(inner),
            (false, _) => Err(ParseError::new(at, "a number was expected after the sign")),
        }
    }

    /// A number with its signs, which are part of it and no level of their own.
    fn signed_number(&mut self) -> Option<Json> {
        let mut negative = false;
        let mut at = self.at;
        while let Some((_, Token::Operator(sign))) = self.tokens.get(at) {
            match sign {
                Operator::Subtract => negative = !negative,
                Operator::Add => {}
                _ => return None,
            }
            at += 1;
        }
        let number = match self.tokens.get(at) {
            Some((_, Token::Literal(value @ Json::Number(_)))) if at > self.at => value,
            _ => return None,
        };
        let number = match negative {
            true => negated(number)?,
            false => number.clone(),
        };
        self.at = at;
        self.step();
        Some(number)
    }

    fn primary(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let at = self.position();
        match self.peek().clone() {
            Token::Sign('(') => {
                self.step();
                let depth = self.deeper(depth)?;
                let inner = self.any(depth)?;
                self.require_sign(')')?;
                Ok(inner)
            }
            Token::Sign('[') => {
                let list = self.list()?;
                self.node(at, Node::Literal(Json::Array(list)))
            }
            Token::Literal(value) => {
                self.step();
                self.node(at, Node::Literal(value))
            }
            Token::Raw(_) => {
                let path = self.path()?;
                self.node(at, Node::Path(path))
            }
            Token::Name(name) => self.named(depth, &name),
            _ => Err(self.expected("a property, a value or a function")),
        }
    }

    /// What begins with a name: a constant, a call, or a path.
    fn named(&mut self, depth: usize, name: &str) -> Result<Expression, ParseError> {
        let at = self.position();
        let next = self.tokens.get(self.at + 1).map(|(_, token)| token);
        if matches!(next, Some(Token::Sign('('))) {
            return self.call(depth, name);
        }
        if !matches!(next, Some(Token::Member(_))) {
            if let Some(constant) = constant(name) {
                self.step();
                return self.node(at, constant);
            }
            let reserved = [
                "AND", "OR", "NOT", "IN", "NIN", "WHERE", "GROUP", "FROM", "SELECT",
            ];
            if reserved.iter().any(|word| word.eq_ignore_ascii_case(name)) {
                let what = "a property, a value or a function ([[…]] takes a keyword as a name)";
                return Err(self.expected(what));
            }
        }
        let path = self.path()?;
        self.node(at, Node::Path(path))
    }

    fn call(&mut self, depth: usize, name: &str) -> Result<Expression, ParseError> {
        let at = self.position();
        let Some((function, expected)) = Function::find(name) else {
            let aggregates = ["COUNT", "AVG", "SUM", "MIN", "MAX"];
            let problem = match aggregates.iter().any(|one| one.eq_ignore_ascii_case(name)) {
                true => format!("{name}(…) stands only after SELECT"),
                false => format!("there is no function '{name}'"),
            };
            return Err(ParseError::new(at, problem));
        };
        self.step();
        self.step();
        let depth = self.deeper(depth)?;
        let mut arguments = Vec::new();
        while !self.sign(')') {
            if !arguments.is_empty() {
                self.require_sign(',')?;
            }
            arguments.push(self.any(depth)?);
        }
        if !expected.contains(&arguments.len()) {
            let (least, most) = expected.into_inner();
            let problem = match least == most {
                true => format!("{name} takes {least} argument(s)"),
                false => format!("{name} takes {least} to {most} arguments"),
            };
            return Err(ParseError::new(at, problem));
        }
        let property = matches!(arguments.first().map(|a| &a.node), Some(Node::Path(_)));
        if function == Function::IsDefined && !property {
            return Err(ParseError::new(at, format!("{name} takes a property")));
        }
        self.node(at, Node::Call(function, arguments))
    }

    /// `[1, 'a', true]`; `IN` may have it in parentheses.
    fn list(&mut self) -> Result<Vec<Json>, ParseError> {
        let close = match self.peek() {
            Token::Sign('[') => ']',
            Token::Sign('(') => ')',
            _ => return Err(self.expected("'[' and a list of values")),
        };
        self.step();
        let mut list = vec![self.list_item()?];
        while self.sign(',') {
            if list.len() == self.max_list {
                let problem = format!("a list may have {} values", self.max_list);
                return Err(ParseError::new(self.position(), problem));
            }
            list.push(self.list_item()?);
        }
        self.require_sign(close)?;
        Ok(list)
    }

    fn list_item(&mut self) -> Result<Json, ParseError> {
        if let Some(number) = self.signed_number() {
            return Ok(number);
        }
        let value = match self.peek() {
            Token::Literal(value) => Some(value.clone()),
            Token::Name(name) => match constant(name) {
                Some(Node::Literal(value)) => Some(value),
                _ => None,
            },
            _ => None,
        };
        let Some(value) = value else {
            return Err(self.expected("a value"));
        };
        self.step();
        Ok(value)
    }
}

fn compare(left: Expression, comparison: Comparison, right: Expression) -> Node {
    Node::Compare(Box::new(left), comparison, Box::new(right))
}

fn constant(name: &str) -> Option<Node> {
    match name.to_ascii_lowercase().as_str() {
        "true" => Some(Node::Literal(Json::Bool(true))),
        "false" => Some(Node::Literal(Json::Bool(false))),
        "null" => Some(Node::Literal(Json::Null)),
        "undefined" => Some(Node::Undefined),
        _ => None,
    }
}

fn negated(value: &Json) -> Option<Json> {
    match value.as_u64().and_then(|whole| i64::try_from(whole).ok()) {
        Some(whole) => Some(Json::from(-whole)),
        None => value.as_f64().map(|value| Json::from(-value)),
    }
}
