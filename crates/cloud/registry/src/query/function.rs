//! The functions of the language: names, and how many arguments.

use std::ops::RangeInclusive;

/// A function; `parse` gives it the right number of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Abs,
    ArrayContains,
    AsNumber,
    Ceiling,
    Concat,
    Contains,
    EndsWith,
    Exp,
    Floor,
    IndexOf,
    IsArray,
    IsBool,
    IsDefined,
    IsNull,
    IsNumber,
    IsObject,
    IsPrimitive,
    IsString,
    Length,
    Lower,
    Power,
    Sign,
    Sqrt,
    Square,
    StartsWith,
    Substring,
    Upper,
}

/// Names in upper case. Twin queries document only `IS_DEFINED`, routes the others.
const FUNCTIONS: &[(&str, Function, RangeInclusive<usize>)] = &[
    ("ABS", Function::Abs, 1..=1),
    ("ARRAY_CONTAINS", Function::ArrayContains, 2..=2),
    ("AS_NUMBER", Function::AsNumber, 1..=1),
    ("CEILING", Function::Ceiling, 1..=1),
    ("CONCAT", Function::Concat, 1..=32),
    ("CONTAINS", Function::Contains, 2..=2),
    ("ENDS_WITH", Function::EndsWith, 2..=2),
    ("ENDSWITH", Function::EndsWith, 2..=2),
    ("EXP", Function::Exp, 1..=1),
    ("FLOOR", Function::Floor, 1..=1),
    ("INDEX_OF", Function::IndexOf, 2..=2),
    ("IS_ARRAY", Function::IsArray, 1..=1),
    ("IS_BOOL", Function::IsBool, 1..=1),
    ("IS_DEFINED", Function::IsDefined, 1..=1),
    ("IS_NULL", Function::IsNull, 1..=1),
    ("IS_NUMBER", Function::IsNumber, 1..=1),
    ("IS_OBJECT", Function::IsObject, 1..=1),
    ("IS_PRIMITIVE", Function::IsPrimitive, 1..=1),
    ("IS_STRING", Function::IsString, 1..=1),
    ("LENGTH", Function::Length, 1..=1),
    ("LOWER", Function::Lower, 1..=1),
    ("POWER", Function::Power, 2..=2),
    ("SIGN", Function::Sign, 1..=1),
    ("SQRT", Function::Sqrt, 1..=1),
    ("SQUARE", Function::Square, 1..=1),
    ("STARTS_WITH", Function::StartsWith, 2..=2),
    ("STARTSWITH", Function::StartsWith, 2..=2),
    ("SUBSTRING", Function::Substring, 2..=3),
    ("UPPER", Function::Upper, 1..=1),
];

impl Function {
    /// The function of this name, in any letter case, with the number of its arguments.
    pub(super) fn find(name: &str) -> Option<(Self, RangeInclusive<usize>)> {
        let known = |(known, ..): &&(&str, Self, _)| known.eq_ignore_ascii_case(name);
        let (_, function, arguments) = FUNCTIONS.iter().find(known)?;
        Some((*function, arguments.clone()))
    }

    /// Whether it answers true or false.
    pub(super) fn is_predicate(self) -> bool {
        matches!(
            self,
            Self::ArrayContains
                | Self::Contains
                | Self::EndsWith
                | Self::IsArray
                | Self::IsBool
                | Self::IsDefined
                | Self::IsNull
                | Self::IsNumber
                | Self::IsObject
                | Self::IsPrimitive
                | Self::IsString
                | Self::StartsWith
        )
    }
}
