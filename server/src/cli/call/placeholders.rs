//! `--value :name=text`: typed by the attribute that the expression compares the placeholder with. Reads only as much of
//! the expression as that needs; the server validates it.

use std::collections::HashMap;

use tollgate_client::Model;

use super::typed::kind_of;

/// The types of placeholders.
pub(super) struct Kinds<'a> {
    by_placeholder: HashMap<&'a str, Option<&'a str>>,
}

impl<'a> Kinds<'a> {
    /// The types of all placeholders that the texts compare with attributes of this model.
    pub(super) fn new(model: &'a Model, texts: &[&'a str]) -> Kinds<'a> {
        let mut kinds = Kinds {
            by_placeholder: HashMap::new(),
        };
        for text in texts {
            let tokens = tokens(text);
            let mut reader = Reader {
                model,
                tokens: &tokens,
                at: 0,
            };
            while reader.at < tokens.len() {
                reader.comparison(&mut kinds);
            }
        }
        kinds
    }

    /// The types of the placeholders of assignments (`age = age + :n`) and of other changes (`roles :new`): each has the type
    /// of the attribute that is changed.
    pub(super) fn of_changes(model: &'a Model, changes: impl IntoIterator<Item = &'a String>) -> Kinds<'a> {
        let mut kinds = Kinds {
            by_placeholder: HashMap::new(),
        };
        for text in changes {
            kinds.change(model, &tokens(text));
        }
        kinds
    }

    /// The placeholders of a list of changes.
    fn change(&mut self, model: &'a Model, tokens: &[Token<'a>]) {
        let mut depth = 0;
        let mut kind = None;
        for (index, token) in tokens.iter().enumerate() {
            match (token, kind) {
                (Token::Mark('('), _) => depth += 1,
                (Token::Mark(')'), _) => depth -= 1,
                (Token::Mark(','), _) if depth == 0 => kind = None,
                (Token::Word(name), None) => {
                    // the model does not declare types inside an attribute
                    let is_nested = matches!(tokens.get(index + 1), Some(Token::Mark('.' | '[')));
                    kind = Some(if is_nested { "" } else { kind_of(model, name) });
                }
                (Token::Value(name), Some(kind)) => self.put(name, kind),
                (Token::Word(_) | Token::Value(_) | Token::Comparator | Token::Mark(_), _) => {}
            }
        }
    }

    /// The type of a placeholder, colon included; none if it is compared with no declared attribute, or with
    /// attributes of several types.
    pub(super) fn get(&self, placeholder: &str) -> Option<&'a str> {
        self.by_placeholder.get(placeholder).copied().flatten()
    }

    fn put(&mut self, placeholder: &'a str, kind: &'a str) {
        let kind = Some(kind).filter(|kind| !kind.is_empty() && *kind != "object");
        let known = self.by_placeholder.entry(placeholder).or_insert(kind);
        if *known != kind {
            *known = None;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Value(&'a str),
    /// `=`, `<>`, `<`, `<=`, `>`, `>=`
    Comparator,
    Mark(char),
}

/// One side of a comparison.
#[derive(Clone, Copy)]
enum Operand<'a> {
    /// A declared attribute, or a size; empty if the type is unknown.
    Kind(&'a str),
    Value(&'a str),
}

struct Reader<'a, 't> {
    model: &'a Model,
    tokens: &'t [Token<'a>],
    at: usize,
}

impl<'a> Reader<'a, '_> {
    /// One comparison or function from here on, or a token of anything else.
    fn comparison(&mut self, kinds: &mut Kinds<'a>) {
        if let Some(Token::Word(word)) = self.peek(0)
            && self.peek(1) == Some(Token::Mark('('))
            && !word.eq_ignore_ascii_case("size")
        {
            return self.function(word, kinds);
        }
        let Some(first) = self.operand() else {
            self.at += 1;
            return;
        };
        let mut operands = vec![first];
        match self.peek(0) {
            Some(Token::Comparator) => {
                self.at += 1;
                operands.extend(self.operand());
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("BETWEEN") => {
                self.at += 1;
                operands.extend(self.operand());
                if matches!(self.peek(0), Some(Token::Word(word)) if word.eq_ignore_ascii_case("AND")) {
                    self.at += 1;
                    operands.extend(self.operand());
                }
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("IN") => {
                self.at += 1;
                while let Some(Token::Mark('(' | ',')) = self.peek(0) {
                    self.at += 1;
                    operands.extend(self.operand());
                }
            }
            _ => {}
        }
        share(&operands, kinds);
    }

    /// `begins_with(path, :value)` and the like: the second operand is typed by the first.
    fn function(&mut self, name: &str, kinds: &mut Kinds<'a>) {
        self.at += 2;
        if name.eq_ignore_ascii_case("NOT")
            || name.eq_ignore_ascii_case("AND")
            || name.eq_ignore_ascii_case("OR")
        {
            return;
        }
        let first = self.operand();
        if self.peek(0) != Some(Token::Mark(',')) {
            return;
        }
        self.at += 1;
        let (Some(Operand::Kind(kind)), Some(Operand::Value(value))) = (first, self.operand()) else {
            return;
        };
        match name {
            "begins_with" => kinds.put(value, kind),
            "contains" => kinds.put(value, member_of(kind)),
            "attribute_type" => kinds.put(value, "string"),
            _ => {}
        }
    }

    fn operand(&mut self) -> Option<Operand<'a>> {
        match self.peek(0)? {
            Token::Value(name) => {
                self.at += 1;
                Some(Operand::Value(name))
            }
            Token::Word(word) if is_keyword(word) => None,
            Token::Word(word)
                if word.eq_ignore_ascii_case("size") && self.peek(1) == Some(Token::Mark('(')) =>
            {
                self.at += 2;
                self.operand();
                self.at += usize::from(self.peek(0) == Some(Token::Mark(')')));
                Some(Operand::Kind("number"))
            }
            Token::Word(word) => {
                self.at += 1;
                let is_nested = self.skip_steps();
                // the model does not declare types inside an attribute
                Some(Operand::Kind(if is_nested {
                    ""
                } else {
                    kind_of(self.model, word)
                }))
            }
            Token::Comparator | Token::Mark(_) => None,
        }
    }

    /// The rest of a path after the attribute: `.name` and `[0]`.
    fn skip_steps(&mut self) -> bool {
        let before = self.at;
        loop {
            match (self.peek(0), self.peek(1), self.peek(2)) {
                (Some(Token::Mark('.')), Some(Token::Word(_)), _) => self.at += 2,
                (Some(Token::Mark('[')), Some(Token::Word(_)), Some(Token::Mark(']'))) => self.at += 3,
                _ => return self.at > before,
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }
}

/// Every value of a comparison has the type of its first attribute.
fn share<'a>(operands: &[Operand<'a>], kinds: &mut Kinds<'a>) {
    let kind = operands.iter().find_map(|operand| match operand {
        Operand::Kind(kind) => Some(*kind),
        Operand::Value(_) => None,
    });
    for operand in operands {
        if let (Operand::Value(name), Some(kind)) = (operand, kind) {
            kinds.put(name, kind);
        }
    }
}

/// The type of the operand of `contains` for an attribute of this type.
fn member_of(kind: &str) -> &str {
    match kind {
        "string_set" => "string",
        "number_set" => "number",
        "binary_set" => "binary",
        "list" | "map" => "",
        other => other,
    }
}

fn is_keyword(word: &str) -> bool {
    ["AND", "OR", "NOT", "BETWEEN", "IN"]
        .iter()
        .any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |from: usize| {
            let length = rest[from..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            from + length.unwrap_or(rest.len() - from)
        };
        let (token, length) = match first {
            ':' => (Token::Value(&rest[..word(1)]), word(1)),
            '#' => (Token::Word(&rest[..word(1)]), word(1)),
            _ if first.is_ascii_alphanumeric() || first == '_' => (Token::Word(&rest[..word(0)]), word(0)),
            '=' => (Token::Comparator, 1),
            '<' | '>' => {
                let is_two = rest[1..].starts_with(['=', '>']);
                (Token::Comparator, 1 + usize::from(is_two))
            }
            other => (Token::Mark(other), other.len_utf8()),
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_client::Attribute;

    use super::*;

    fn model() -> Model {
        let declared = [
            ("s", "string"),
            ("n", "number"),
            ("b", "binary"),
            ("flag", "boolean"),
            ("list", "list"),
            ("tags", "string_set"),
            ("years", "number_set"),
            ("size", "string"),
        ];
        let attributes = declared.map(|(name, kind)| Attribute {
            name: name.to_owned(),
            r#type: kind.to_owned(),
            ..Attribute::default()
        });
        Model {
            attributes: attributes.to_vec(),
            ..Model::default()
        }
    }

    #[test]
    fn a_placeholder_has_the_type_of_its_comparison() {
        let model = model();
        for (text, kinds) in [
            ("s = :v", Some("string")),
            (":v<=n", Some("number")),
            ("n>=:v", Some("number")),
            ("NOT (flag <> :v)", Some("boolean")),
            ("NOT(s = :v)", Some("string")),
            ("flag = :w AND(s = :v)", Some("string")),
            ("s between :w and :v", Some("string")),
            ("n BETWEEN :v AND :w", Some("number")),
            ("n IN (:w, :x,:v)", Some("number")),
            ("begins_with(s, :v)", Some("string")),
            ("begins_with ( b , :v )", Some("binary")),
            ("contains(tags, :v)", Some("string")),
            ("contains(years, :v)", Some("number")),
            ("contains(list, :v)", None),
            ("attribute_type(n, :v)", Some("string")),
            ("size(s) > :v", Some("number")),
            ("size = :v", Some("string")),
            ("s = :v OR n = :v", None),
            ("s = :v OR s > :v", Some("string")),
            ("list[0] = :v", None),
            ("list.s = :v", None),
            ("unknown = :v", None),
            ("s = :vv", None),
            ("attribute_exists(s) AND n = :v", Some("number")),
            (":v = s", Some("string")),
        ] {
            assert_eq!(Kinds::new(&model, &[text]).get(":v"), kinds, "{text}");
        }
        let kinds = Kinds::new(&model, &["s = :a", "n = :b"]);
        assert_eq!(
            (kinds.get(":a"), kinds.get(":b")),
            (Some("string"), Some("number"))
        );
    }

    #[test]
    fn a_placeholder_of_a_change_has_the_type_of_the_attribute() {
        let model = model();
        for (text, kinds) in [
            ("n = n + :v", Some("number")),
            ("s = :w, n = if_not_exists(n, :v) - :x", Some("number")),
            ("list = list_append(list, :v)", Some("list")),
            ("list = list_append(list, :w), s = :v", Some("string")),
            ("list[0] = :v", None),
            ("tags :v", Some("string_set")),
            ("n :w, years :v", Some("number_set")),
            ("unknown = :v", None),
        ] {
            let texts = [text.to_owned()];
            assert_eq!(Kinds::of_changes(&model, &texts).get(":v"), kinds, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "\\PC{0,40}", more in "[a-z:#()<>=., \\[\\]0-9]{0,40}") {
            Kinds::of_changes(&model(), &[text.clone(), more.clone()]);
            Kinds::new(&model(), &[&text, &more]);
        }
    }
}
