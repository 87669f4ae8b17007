//! What follows `SELECT`.

use super::{ParseError, Parser};
use crate::query::ast::{Aggregate, Operator, Segment, SelectItem, Selected, Selection};
use crate::query::lexer::Token;

impl Parser {
    pub(super) fn top(&mut self) -> Result<u64, ParseError> {
        let number = match self.peek() {
            Token::Literal(value) => value.as_u64().filter(|number| *number > 0),
            _ => None,
        };
        let number = number.ok_or_else(|| self.expected("a whole number above 0"))?;
        self.step();
        Ok(number)
    }

    pub(super) fn selection(&mut self) -> Result<Selection, ParseError> {
        if *self.peek() == Token::Operator(Operator::Multiply) {
            self.step();
            return Ok(Selection::All);
        }
        let mut items = self.listed(Self::item, "SELECT")?;
        for (place, item) in (1..).zip(&mut items) {
            if item.name.is_empty() {
                item.name = format!("${place}");
            }
        }
        Ok(Selection::Items(items))
    }

    fn item(&mut self) -> Result<SelectItem, ParseError> {
        let called = matches!(self.tokens.get(self.at + 1), Some((_, Token::Sign('('))));
        let selected = match called {
            true => Selected::Aggregate(self.aggregate()?),
            false => Selected::Path(self.path()?),
        };
        let name = match (self.keyword("AS"), &selected) {
            (true, _) => self.alias()?,
            (false, Selected::Path(path)) => match path.segments.last() {
                Some(Segment::Name(name)) => name.clone(),
                _ => String::new(),
            },
            (false, Selected::Aggregate(_)) => String::new(),
        };
        Ok(SelectItem { name, selected })
    }

    fn alias(&mut self) -> Result<String, ParseError> {
        let (Token::Name(name) | Token::Raw(name)) = self.peek().clone() else {
            return Err(self.expected("a name"));
        };
        self.step();
        Ok(name)
    }

    fn aggregate(&mut self) -> Result<Aggregate, ParseError> {
        let known = "COUNT(), AVG(…), SUM(…), MIN(…) or MAX(…)";
        let Token::Name(name) = self.peek().clone() else {
            return Err(self.expected(known));
        };
        if name.eq_ignore_ascii_case("COUNT") {
            self.step();
            self.step();
            self.require_sign(')')?;
            return Ok(Aggregate::Count);
        }
        let make = match name.to_ascii_uppercase().as_str() {
            "AVG" => Aggregate::Average,
            "SUM" => Aggregate::Sum,
            "MIN" => Aggregate::Minimum,
            "MAX" => Aggregate::Maximum,
            _ => return Err(self.expected(known)),
        };
        self.step();
        self.step();
        let path = self.path()?;
        self.require_sign(')')?;
        Ok(make(path))
    }
}
