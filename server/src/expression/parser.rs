//! Parses tokens into a tree, with DynamoDB's precedence: comparisons and functions, then NOT, AND, OR. Independent of
//! models. Never recurses, and bounds the depth of the tree.

use super::ast::{Condition, Name, Operand, Path, Step, ValueRef};
use super::lexer::{Token, TokenKind};
use super::names::quoted;
use crate::fault::did_you_mean;
use crate::model::limits::{MAX_OPERATORS, MAX_PATH_ELEMENTS};

/// Maximum number of nested parentheses. More are never needed: a level that is not redundant contains an AND or OR and a
/// comparison, which are two of the operators that DynamoDB allows.
const MAX_DEPTH: usize = MAX_OPERATORS / 2;

const FUNCTIONS: [&str; 6] = [
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
];

const KEYWORDS: [&str; 5] = ["AND", "OR", "NOT", "BETWEEN", "IN"];

const OPERAND: &str = "an attribute, a :value or size(attribute)";

/// An unexpected token.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) column: usize,
    pub(super) description: String,
}

/// A parsed part of the tree, or the first error.
pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// Parses a condition.
pub(super) fn condition<'a>(tokens: &[Token<'a>]) -> Parsed<Condition<'a>> {
    let mut parser = Parser::new(tokens);
    let condition = parser.joined()?;
    parser.expect(TokenKind::End, "AND, OR or the end")?;
    Ok(condition)
}

/// `tokens` ends with `End`, and the position never passes it.
pub(super) struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    pub(super) position: usize,
    operators: usize,
}

/// The conditions between two parentheses, or outside of all parentheses.
#[derive(Default)]
struct Level<'a> {
    any: Vec<Condition<'a>>,
    all: Vec<Condition<'a>>,
    negations: usize,
}

impl<'t, 'a> Parser<'t, 'a> {
    /// A parser at the first of these tokens.
    pub(super) fn new(tokens: &'t [Token<'a>]) -> Parser<'t, 'a> {
        Parser {
            tokens,
            position: 0,
            operators: 0,
        }
    }

    /// Parses conditions that are joined by AND and OR, negated, or in parentheses. Parentheses use a level in a list, not
    /// the stack.
    fn joined(&mut self) -> Parsed<Condition<'a>> {
        let mut outer = Vec::new();
        let mut level = Level::default();
        loop {
            while !self.is_named_not() && self.operator("NOT")? {
                level.negations += 1;
            }
            if self.peek(0) == TokenKind::Open {
                outer.push(std::mem::take(&mut level));
                if outer.len() > MAX_DEPTH {
                    return self.refuse(format!("more than {MAX_DEPTH} nested parentheses"));
                }
                self.position += 1;
                continue;
            }
            level.push(self.single()?);
            while !self.joins(&mut level)? {
                let condition = level.whole();
                let Some(parent) = outer.pop() else {
                    return Ok(condition);
                };
                self.expect(TokenKind::Close, "AND, OR or `)`")?;
                level = parent;
                level.push(condition);
            }
        }
    }

    /// Whether AND or OR joins another condition to this level.
    fn joins(&mut self, level: &mut Level<'a>) -> Parsed<bool> {
        if self.operator("OR")? {
            level.end_all();
            return Ok(true);
        }
        self.operator("AND")
    }

    /// Whether the NOT at this position is the name of an attribute.
    fn is_named_not(&self) -> bool {
        matches!(
            self.peek(1),
            TokenKind::Comparator(_) | TokenKind::Dot | TokenKind::OpenIndex
        )
    }

    /// Parses one comparison or function.
    fn single(&mut self) -> Parsed<Condition<'a>> {
        if let (TokenKind::Word(name), TokenKind::Open) = (self.peek(0), self.peek(1))
            && name != "size"
            && !is_keyword(name)
        {
            return self.function(name);
        }
        let left = self.operand("a condition")?;
        if let TokenKind::Comparator(comparator) = self.peek(0) {
            self.count_operator()?;
            self.position += 1;
            return Ok(Condition::Compare(left, comparator, self.operand(OPERAND)?));
        }
        if self.operator("BETWEEN")? {
            return self.between(left);
        }
        if self.operator("IN")? {
            return self.listed(left);
        }
        self.expected("=, <>, <, <=, >, >=, BETWEEN or IN")
    }

    fn between(&mut self, subject: Operand<'a>) -> Parsed<Condition<'a>> {
        let low = self.operand(OPERAND)?;
        if !self.take_word("AND") {
            return self.expected("AND and the upper bound");
        }
        Ok(Condition::Between(subject, low, self.operand(OPERAND)?))
    }

    fn listed(&mut self, subject: Operand<'a>) -> Parsed<Condition<'a>> {
        self.expect(TokenKind::Open, "`(` and the operands of IN")?;
        let mut operands = vec![self.operand(OPERAND)?];
        while self.take(TokenKind::Comma) {
            operands.push(self.operand(OPERAND)?);
        }
        self.expect(TokenKind::Close, "`,` or `)`")?;
        Ok(Condition::In(subject, operands))
    }

    fn function(&mut self, name: &'a str) -> Parsed<Condition<'a>> {
        if !matches!(
            name,
            "attribute_exists" | "attribute_not_exists" | "attribute_type" | "begins_with" | "contains"
        ) {
            let near = did_you_mean(name, FUNCTIONS);
            return self.refuse(format!(
                "{} is not a function{near}; functions are, in lower case, {}",
                quoted(name),
                FUNCTIONS.join(", ")
            ));
        }
        self.count_operator()?;
        self.position += 2;
        let condition = match name {
            "attribute_exists" => Condition::Exists(self.path("an attribute")?),
            "attribute_not_exists" => Condition::NotExists(self.path("an attribute")?),
            "attribute_type" => Condition::HasType(self.path("an attribute")?, self.type_name()?),
            "begins_with" => Condition::BeginsWith(self.operand(OPERAND)?, self.second()?),
            _ => Condition::Contains(self.operand(OPERAND)?, self.second()?),
        };
        self.expect(TokenKind::Close, "`)`")?;
        Ok(condition)
    }

    fn second(&mut self) -> Parsed<Operand<'a>> {
        self.expect(TokenKind::Comma, "`,` and a second operand")?;
        self.operand(OPERAND)
    }

    fn type_name(&mut self) -> Parsed<ValueRef<'a>> {
        self.expect(TokenKind::Comma, "`,` and a :value that names a type")?;
        match self.operand("a :value that names a type")? {
            Operand::Value(value) => Ok(value),
            other => Err(SyntaxError {
                column: other.column(),
                description: "expected a :value that names a type".to_owned(),
            }),
        }
    }

    fn operand(&mut self, expected: &str) -> Parsed<Operand<'a>> {
        let column = self.column();
        match (self.peek(0), self.peek(1)) {
            (TokenKind::ValueRef(name), _) => {
                self.position += 1;
                Ok(Operand::Value(ValueRef { name, column }))
            }
            (TokenKind::Word("size"), TokenKind::Open) => self.size(),
            (TokenKind::Word(name), TokenKind::Open) if !is_keyword(name) => self.refuse(format!(
                "{} is not allowed here; the only function allowed is size",
                quoted(name)
            )),
            _ => Ok(Operand::Path(self.path(expected)?)),
        }
    }

    fn size(&mut self) -> Parsed<Operand<'a>> {
        self.count_operator()?;
        self.position += 2;
        let path = self.path("an attribute")?;
        self.expect(TokenKind::Close, "`)`")?;
        Ok(Operand::Size(path))
    }

    fn path(&mut self, expected: &str) -> Parsed<Path<'a>> {
        if matches!(self.peek(0), TokenKind::Word(name) if is_keyword(name)) && !self.ends_operand(1) {
            return self.expected(expected);
        }
        self.document_path(expected)
    }

    /// Parses a path in a place where no keyword is allowed.
    pub(super) fn document_path(&mut self, expected: &str) -> Parsed<Path<'a>> {
        let attribute = self.name(expected)?;
        let mut steps = Vec::new();
        loop {
            if self.take(TokenKind::Dot) {
                steps.push(Step::Name(self.name("a name")?));
            } else if self.take(TokenKind::OpenIndex) {
                steps.push(Step::Index(self.index()?));
            } else {
                return Ok(Path { attribute, steps });
            }
            if steps.len() >= MAX_PATH_ELEMENTS {
                return self.refuse(format!(
                    "a path can have at most {MAX_PATH_ELEMENTS} names and indexes"
                ));
            }
        }
    }

    fn name(&mut self, expected: &str) -> Parsed<Name<'a>> {
        let column = self.column();
        let (text, is_placeholder) = match self.peek(0) {
            TokenKind::Word(text) => (text, false),
            TokenKind::NameRef(text) => (text, true),
            _ => return self.expected(expected),
        };
        self.position += 1;
        Ok(Name {
            text,
            is_placeholder,
            column,
        })
    }

    /// Like DynamoDB, refuses leading zeros.
    fn index(&mut self) -> Parsed<u32> {
        let TokenKind::Digits(digits) = self.peek(0) else {
            return self.expected("an index such as 0");
        };
        let index = digits
            .parse()
            .ok()
            .filter(|_| digits == "0" || !digits.starts_with('0'));
        let Some(index) = index else {
            return self.refuse("expected an index of at most ten digits, without leading zeros".to_owned());
        };
        self.position += 1;
        self.expect(TokenKind::CloseIndex, "`]`")?;
        Ok(index)
    }

    /// Whether the token at a distance can follow an operand. Then a keyword before it is the name of an attribute.
    fn ends_operand(&self, distance: usize) -> bool {
        match self.peek(distance) {
            TokenKind::Word(word) => is_keyword(word) && !word.eq_ignore_ascii_case("NOT"),
            TokenKind::Comparator(_)
            | TokenKind::Dot
            | TokenKind::OpenIndex
            | TokenKind::Close
            | TokenKind::Comma
            | TokenKind::End => true,
            _ => false,
        }
    }

    pub(super) fn peek(&self, distance: usize) -> TokenKind<'a> {
        self.tokens
            .get(self.position + distance)
            .map_or(TokenKind::End, |token| token.kind)
    }

    pub(super) fn column(&self) -> usize {
        self.tokens
            .get(self.position)
            .or(self.tokens.last())
            .map_or(1, |token| token.column)
    }

    pub(super) fn take(&mut self, kind: TokenKind<'_>) -> bool {
        let is_next = self.peek(0) == kind;
        self.position += usize::from(is_next);
        is_next
    }

    /// Whether the next token is this keyword.
    pub(super) fn is_at_word(&self, word: &str) -> bool {
        matches!(self.peek(0), TokenKind::Word(text) if text.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = self.is_at_word(word);
        self.position += usize::from(is_next);
        is_next
    }

    fn operator(&mut self, word: &str) -> Parsed<bool> {
        let is_next = self.take_word(word);
        if is_next {
            self.count_operator()?;
        }
        Ok(is_next)
    }

    pub(super) fn count_operator(&mut self) -> Parsed<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return self.refuse(format!("more than {MAX_OPERATORS} operators and functions"));
        }
        Ok(())
    }

    pub(super) fn expect(&mut self, kind: TokenKind<'_>, expected: &str) -> Parsed<()> {
        if self.take(kind) {
            Ok(())
        } else {
            self.expected(expected)
        }
    }

    pub(super) fn expected<T>(&self, expected: &str) -> Parsed<T> {
        self.refuse(format!("expected {expected}, found {}", found(self.peek(0))))
    }

    pub(super) fn refuse<T>(&self, description: String) -> Parsed<T> {
        Err(SyntaxError {
            column: self.column(),
            description,
        })
    }
}

impl<'a> Level<'a> {
    /// Adds a condition that AND joins, with the negations before it.
    fn push(&mut self, condition: Condition<'a>) {
        let negations = std::mem::take(&mut self.negations);
        match (0..negations).fold(condition, |inner, _| Condition::Not(Box::new(inner))) {
            Condition::And(parts) => self.all.extend(parts),
            part => self.all.push(part),
        }
    }

    /// Completes the conditions that AND joined, as one part of those that OR joins.
    fn end_all(&mut self) {
        match one_or(std::mem::take(&mut self.all), Condition::And) {
            Condition::Or(parts) => self.any.extend(parts),
            part => self.any.push(part),
        }
    }

    fn whole(&mut self) -> Condition<'a> {
        self.end_all();
        one_or(std::mem::take(&mut self.any), Condition::Or)
    }
}

fn one_or<'a>(mut parts: Vec<Condition<'a>>, many: fn(Vec<Condition<'a>>) -> Condition<'a>) -> Condition<'a> {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// A token as faults show it. Digits and unexpected characters are not shown, because they may be part of a value.
fn found(token: TokenKind<'_>) -> String {
    match token {
        TokenKind::Word(text) | TokenKind::NameRef(text) | TokenKind::ValueRef(text) => quoted(text),
        TokenKind::Digits(_) => "a number: write values as :name".to_owned(),
        TokenKind::Comparator(comparator) => format!("`{}`", comparator.as_str()),
        TokenKind::Open => "`(`".to_owned(),
        TokenKind::Close => "`)`".to_owned(),
        TokenKind::OpenIndex => "`[`".to_owned(),
        TokenKind::CloseIndex => "`]`".to_owned(),
        TokenKind::Dot => "`.`".to_owned(),
        TokenKind::Plus => "`+`: write values as :name, and other names as #name".to_owned(),
        TokenKind::Minus => "`-`: write values as :name, and other names as #name".to_owned(),
        TokenKind::Comma => "`,`".to_owned(),
        TokenKind::Unknown => {
            "an unexpected character: write values as :name, and other names as #name".to_owned()
        }
        TokenKind::End => "the end".to_owned(),
    }
}
