//! The syntax tree of an expression. Borrows from its text. Never contains values, only their placeholders.

/// A condition, filter or key condition. `And` and `Or` have at least two parts and are never directly nested in a
/// condition of the same kind.
#[derive(Debug)]
pub(super) enum Condition<'a> {
    Compare(Operand<'a>, Comparator, Operand<'a>),
    /// The subject, the lower bound and the upper bound.
    Between(Operand<'a>, Operand<'a>, Operand<'a>),
    In(Operand<'a>, Vec<Operand<'a>>),
    Exists(Path<'a>),
    NotExists(Path<'a>),
    HasType(Path<'a>, ValueRef<'a>),
    BeginsWith(Operand<'a>, Operand<'a>),
    Contains(Operand<'a>, Operand<'a>),
    Not(Box<Condition<'a>>),
    And(Vec<Condition<'a>>),
    Or(Vec<Condition<'a>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
pub(super) enum Operand<'a> {
    Path(Path<'a>),
    Value(ValueRef<'a>),
    Size(Path<'a>),
}

/// A document path: an attribute and the steps into its value.
#[derive(Debug)]
pub(super) struct Path<'a> {
    pub(super) attribute: Name<'a>,
    pub(super) steps: Vec<Step<'a>>,
}

#[derive(Debug)]
pub(super) enum Step<'a> {
    Index(u32),
    Name(Name<'a>),
}

/// A name in the text.
#[derive(Debug)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    /// Whether `text` is a `#name` placeholder.
    pub(super) is_placeholder: bool,
    pub(super) column: usize,
}

/// A `:value` in the text.
#[derive(Debug)]
pub(super) struct ValueRef<'a> {
    pub(super) name: &'a str,
    pub(super) column: usize,
}

impl Condition<'_> {
    /// The column where it starts, not counting parentheses and function names.
    pub(super) fn column(&self) -> usize {
        match self {
            Condition::Compare(first, ..)
            | Condition::Between(first, ..)
            | Condition::In(first, _)
            | Condition::BeginsWith(first, _)
            | Condition::Contains(first, _) => first.column(),
            Condition::Exists(path) | Condition::NotExists(path) | Condition::HasType(path, _) => {
                path.attribute.column
            }
            Condition::Not(inner) => inner.column(),
            Condition::And(parts) | Condition::Or(parts) => parts.first().map_or(1, Condition::column),
        }
    }
}

impl Operand<'_> {
    pub(super) fn column(&self) -> usize {
        match self {
            Operand::Path(path) | Operand::Size(path) => path.attribute.column,
            Operand::Value(value) => value.column,
        }
    }
}

impl Comparator {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        }
    }

    /// Whether it compares by order, which supports only strings, numbers and binaries.
    pub(super) const fn is_ordering(self) -> bool {
        !matches!(self, Comparator::Equal | Comparator::NotEqual)
    }
}
