//! Expressions from the DynamoDB developer guide, and invalid ones.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html>

use super::super::{Placeholders, ReadScope, condition, key_condition, projection};
use super::{expression, number, open_model, table_keys, text};
use crate::model::{Model, Value};

/// The guide's values by their names.
fn values(condition_text: &str) -> Vec<(&'static str, Value)> {
    let all = [
        (":p", number("500")),
        (":lo", number("500")),
        (":hi", number("600")),
        (":limit", number("100")),
        (":v_num", number("600")),
        (":v_sub", text("S")),
        (":cat1", text("Sporting Goods")),
        (":cat2", text("Gardening Supplies")),
        (":name", text("Amazon DynamoDB")),
        (":sub", text("How do I")),
        (":t1", text("2015-01-01")),
        (":t2", text("2015-12-31")),
        (":five", Value::Bool(true)),
    ];
    let is_used = |name: &str| {
        condition_text
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':')
            .any(|word| word == name)
    };
    all.into_iter().filter(|(name, _)| is_used(name)).collect()
}

/// The guide's names by their placeholders.
fn names(condition_text: &str) -> Vec<(&'static str, &'static str)> {
    let all = [
        ("#P", "Price"),
        ("#pr", "ProductReviews"),
        ("#1star", "OneStar"),
        ("#ratings", "Safety.Warning"),
        ("#d", "date-time"),
    ];
    all.into_iter()
        .filter(|(name, _)| condition_text.contains(name))
        .collect()
}

fn render(condition_text: &str) -> Result<String, String> {
    let expression = expression(condition_text, &values(condition_text), &names(condition_text));
    condition(&open_model(), &expression, "condition", &mut Placeholders::new())
        .map_err(|faults| format!("{faults:?}"))
}

#[test]
fn accepts_the_guides_conditions() {
    for condition_text in [
        "attribute_not_exists(Id)",
        "attribute_exists(ProductReviews.OneStar)",
        "attribute_exists(#pr.#1star)",
        "attribute_not_exists(Price)",
        "attribute_type(Color, :v_sub)",
        "begins_with(Pictures.FrontView, :v_sub)",
        "contains(Color, :v_sub)",
        "contains (RelatedItems, :p)",
        "size(VideoClip) > :v_num",
        "size (Brand) <= :v_num",
        "Price <= :p",
        "#P >= :p",
        "(ProductCategory IN (:cat1, :cat2)) and (Price between :lo and :hi)",
        "(Price > :limit) AND ((size(Description) < :p) OR NOT contains(Tags, :v_sub))",
        "Price BETWEEN :lo AND :hi",
        "ProductCategory in (:cat1,:cat2)",
        "NOT ProductCategory = :cat1 or Safety.Warning <> :five",
        "#ratings = :five",
        "a[0] = b[0][1].c",
        "MyList[0] < MyMap.nestedField.deeplyNestedField[2]",
        "Year = :p AND Comment = :sub AND Percentile > :limit",
        "ProductReviews.FiveStar[0] = :sub\n  AND\t attribute_exists ( Price )\r\n",
        "size(a) BETWEEN size(b) AND :p",
        "size(a) IN (:p, size(b))",
    ] {
        render(condition_text).unwrap();
    }
}

/// Texts that are not conditions.
const INVALID: &[&str] = &[
    "",
    "Price",
    ":p",
    "Price > 500",
    "Price > 'x'",
    "Price = = :p",
    "Price != :p",
    "Price =< :p",
    "Price => :p",
    "Price < > :p",
    "Price > :lo < :hi",
    "Price LIKE :p",
    "Price IS NULL",
    "Price BETWEEN :lo, :hi",
    "Price BETWEEN (:lo AND :hi)",
    "Price IN :p",
    "Price NOT IN (:p)",
    "NOT",
    "AND",
    "Price = :p AND",
    "AND Price = :p",
    "Price = :p && Id = :p",
    "Price = :p, Id = :p",
    "()",
    "(Price = :p",
    "Price = :p)",
    "(Price) = :p)",
    "Price[ = :p",
    "Price[-1] = :p",
    "Price[:p] = :p",
    "Price[0 = :p",
    "Price[0].[1] = :p",
    ".Price = :p",
    "Price. = :p",
    "Price..a = :p",
    "Price.[0] = :p",
    "Price.0 = :p",
    "0Price = :p",
    "Safety-Warning = :p",
    "Price + :p > :lo",
    "# = :p",
    "#P# = :p",
    "Price = :",
    "Price = ::p",
    "Price = : p",
    "$Price = :p",
    "`Price` = :p",
    "attribute_exists",
    "attribute_exists()",
    "attribute_exists(Price, Id)",
    "attribute_exists(:p)",
    "attribute_exists(size(Price))",
    "attribute_exists(Price) = :five",
    "attribute_type(Price)",
    "attribute_type(:v_sub, Price)",
    "Attribute_Exists(Price)",
    "exists(Price)",
    "begins_with(Price)",
    "begins_with(Price, :v_sub, :sub)",
    "contains(Price :v_sub)",
    "contains()",
    "size(Price)",
    "size(:p) > :lo",
    "size() > :p",
    "size(Price, Id) > :p",
    "if_not_exists(Price, :p) = :p",
    "SET Price = :p",
    "Price = :p; Id = :p",
    "Price = :p -- x",
    "Price\u{a0}= :p",
    "Price = :p\0",
];

#[test]
fn refuses_texts_that_are_not_conditions() {
    for condition_text in INVALID {
        render(condition_text).expect_err(condition_text);
    }
}

#[test]
fn accepts_the_guides_key_conditions() {
    let model = Model {
        partition_key: "ForumName".to_owned(),
        sort_key: Some("Subject".to_owned()),
        ..open_model()
    };
    for condition_text in [
        "ForumName = :name",
        "(ForumName = :name)",
        "ForumName = :name and Subject = :sub",
        "Subject = :sub AND ForumName = :name",
        "ForumName = :name and begins_with(Subject, :sub)",
        "ForumName = :name and Subject between :t1 and :t2",
        "(ForumName = :name) and (Subject >= :sub)",
    ] {
        let expression = expression(condition_text, &values(condition_text), &[]);
        let mut out = Placeholders::new();
        let condition = key_condition(&table_keys(&model), &expression, "key_condition", &mut out).unwrap();
        assert!(condition.starts_with("#n0=:v0"), "{condition}");
        assert!(out.into_parts().1[":v0"] == text("Amazon DynamoDB"));
    }
}

#[test]
fn accepts_the_guides_projections() {
    let fields = [
        "Description",
        "RelatedItems[0]",
        "ProductReviews.FiveStar",
        "MyNumbers[0][1].a",
        "Title",
    ];
    let fields = fields.map(str::to_owned);
    let projection = projection(
        &ReadScope::table(&open_model()),
        &fields,
        &[],
        "fields",
        &mut Placeholders::new(),
    )
    .unwrap();
    assert_eq!(
        projection.attributes(),
        [
            "Description",
            "RelatedItems",
            "ProductReviews",
            "MyNumbers",
            "Title"
        ]
    );
    assert_eq!(projection.text, "#n0,#n1[0],#n2.#n3,#n4[0][1].#n5,#n6,#n7,#n8");
}
