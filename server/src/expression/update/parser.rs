//! The grammar of update expressions. Knows nothing of models; its recursion is bounded.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html>

use super::super::ast::ValueRef;
use super::super::lexer::{Token, TokenKind};
use super::super::names::quoted;
use super::super::parser::{Parsed, Parser};
use super::ast::{Action, Assigned, Operand};
use crate::fault::did_you_mean;

const CLAUSES: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];

const FUNCTIONS: [&str; 2] = ["if_not_exists", "list_append"];

/// Functions nested in each other.
const MAX_DEPTH: usize = 32;

const OPERAND: &str = "an attribute, a :value, if_not_exists or list_append";

/// Reads a whole update expression.
pub(super) fn actions<'a>(tokens: &[Token<'a>]) -> Parsed<Vec<Action<'a>>> {
    let mut parser = Parser::new(tokens);
    let mut actions = Vec::new();
    let mut seen = Vec::new();
    while seen.is_empty() || parser.peek(0) != TokenKind::End {
        let Some(clause) = CLAUSES.into_iter().find(|clause| parser.is_at_word(clause)) else {
            let expected = match seen.is_empty() {
                true => "SET, REMOVE, ADD or DELETE",
                false => "`,`, SET, REMOVE, ADD, DELETE or the end",
            };
            return parser.expected(expected);
        };
        if seen.contains(&clause) {
            return parser.refuse(format!(
                "only one {clause} is allowed: separate its actions by `,`"
            ));
        }
        seen.push(clause);
        parser.position += 1;
        loop {
            actions.push(action(&mut parser, clause)?);
            if !parser.take(TokenKind::Comma) {
                break;
            }
        }
    }
    Ok(actions)
}

fn action<'a>(parser: &mut Parser<'_, 'a>, clause: &str) -> Parsed<Action<'a>> {
    let path = parser.document_path("an attribute")?;
    match clause {
        "SET" => {
            parser.expect(TokenKind::Comparator(super::super::ast::Comparator::Equal), "`=`")?;
            Ok(Action::Set(path, assigned(parser)?))
        }
        "REMOVE" => Ok(Action::Remove(path)),
        "ADD" => Ok(Action::Add(path, value(parser)?)),
        _ => Ok(Action::Delete(path, value(parser)?)),
    }
}

fn assigned<'a>(parser: &mut Parser<'_, 'a>) -> Parsed<Assigned<'a>> {
    let first = operand(parser, 0)?;
    if parser.take(TokenKind::Plus) {
        parser.count_operator()?;
        return Ok(Assigned::Sum(first, operand(parser, 0)?));
    }
    if parser.take(TokenKind::Minus) {
        parser.count_operator()?;
        return Ok(Assigned::Difference(first, operand(parser, 0)?));
    }
    Ok(Assigned::Operand(first))
}

fn operand<'a>(parser: &mut Parser<'_, 'a>, depth: usize) -> Parsed<Operand<'a>> {
    let (TokenKind::Word(function), TokenKind::Open) = (parser.peek(0), parser.peek(1)) else {
        return match parser.peek(0) {
            TokenKind::ValueRef(_) => Ok(Operand::Value(value(parser)?)),
            _ => Ok(Operand::Path(parser.document_path(OPERAND)?)),
        };
    };
    if !FUNCTIONS.contains(&function) {
        let near = did_you_mean(function, FUNCTIONS);
        let functions = FUNCTIONS.join(" and ");
        return parser.refuse(format!(
            "{} is not a function of updates{near}; they are, in lower case, {functions}",
            quoted(function)
        ));
    }
    if depth == MAX_DEPTH {
        return parser.refuse(format!("more than {MAX_DEPTH} nested functions"));
    }
    parser.count_operator()?;
    parser.position += 2;
    let operand = match function {
        "if_not_exists" => {
            let path = parser.document_path("an attribute")?;
            parser.expect(TokenKind::Comma, "`,` and a second operand")?;
            Operand::IfNotExists(path, Box::new(operand(parser, depth + 1)?))
        }
        _ => {
            let first = operand(parser, depth + 1)?;
            parser.expect(TokenKind::Comma, "`,` and a second operand")?;
            Operand::ListAppend(Box::new(first), Box::new(operand(parser, depth + 1)?))
        }
    };
    parser.expect(TokenKind::Close, "`)`")?;
    Ok(operand)
}

fn value<'a>(parser: &mut Parser<'_, 'a>) -> Parsed<ValueRef<'a>> {
    let column = parser.column();
    let TokenKind::ValueRef(name) = parser.peek(0) else {
        return parser.expected("a :value");
    };
    parser.position += 1;
    Ok(ValueRef { name, column })
}
