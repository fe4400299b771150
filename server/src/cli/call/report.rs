//! Totals and models, as tables for people and as JSON fields. Sends nothing.

use tollgate_client::{Attribute, Item, Model, OperationMetrics, Totals, Value, to_value};
use tollgate_proto::v1::Offload;

use super::json::printable;
use super::table::table;
use super::typed;
use crate::figure::{self, MetricValue};

/// Every figure of a bill by its name in the contract.
fn figures(metrics: &OperationMetrics) -> Vec<(&'static str, Value)> {
    let value = |value| match value {
        MetricValue::Count(count) => count.into(),
        MetricValue::Amount(amount) => to_value(&amount).unwrap_or(Value::Null),
    };
    let figures = figure::metric_values(metrics).into_iter();
    figures.map(|(name, figure)| (name, value(figure))).collect()
}

/// The figures as JSON fields; the cost is a separate object.
pub(super) fn fields(metrics: &OperationMetrics) -> Item {
    let mut fields = Item::new();
    let mut cost = Item::new();
    for (name, value) in figures(metrics) {
        match name.strip_prefix("cost.") {
            Some(part) => cost.insert(part.to_owned(), value),
            None => fields.insert(name.to_owned(), value),
        };
    }
    fields.insert("cost".to_owned(), cost.into());
    fields
}

/// Totals as JSON fields.
pub(super) fn total_fields(totals: &Totals) -> Item {
    let each = |(name, metrics): (&String, &OperationMetrics)| (name.clone(), Value::Map(fields(metrics)));
    let by_model: Item = totals.by_model.iter().map(each).collect();
    let by_operation: Item = totals.by_operation.iter().map(each).collect();
    let since = totals.since.map_or(Value::Null, |since| {
        humantime::format_rfc3339_millis(since).to_string().into()
    });
    Item::from([
        ("total".to_owned(), fields(&totals.total).into()),
        ("by_model".to_owned(), by_model.into()),
        ("by_operation".to_owned(), by_operation.into()),
        ("since".to_owned(), since),
    ])
}

/// Totals as a table: one figure per line, a column for the sum and for each operation.
pub(super) fn total_table(totals: &Totals) -> String {
    let mut operations: Vec<_> = totals.by_operation.iter().collect();
    operations.sort_by_key(|(name, _)| *name);
    let mut columns = vec![("total".to_owned(), &totals.total)];
    columns.extend(
        operations
            .into_iter()
            .map(|(name, metrics)| (name.clone(), metrics)),
    );
    let since = totals
        .since
        .map(|since| format!("since {}\n", humantime::format_rfc3339_seconds(since)));
    format!("{}{}", since.unwrap_or_default(), metrics_table(&columns))
}

/// Figures of several scopes, a column each.
pub(super) fn metrics_table(columns: &[(String, &OperationMetrics)]) -> String {
    let mut rows = vec![vec![String::new()]];
    rows.extend(
        figures(&OperationMetrics::default())
            .into_iter()
            .map(|(name, _)| vec![name.to_owned()]),
    );
    for (title, metrics) in columns {
        rows[0].push(title.clone());
        for (row, (_, value)) in rows[1..].iter_mut().zip(figures(metrics)) {
            row.push(figure(&value));
        }
    }
    table(&rows, true)
}

/// Rounds to the twelve decimals of dollars that the server counts; further digits are float noise.
fn figure(value: &Value) -> String {
    match value {
        Value::Number(number) if number.as_str().contains(['.', 'E']) => {
            let rounded = format!("{:.12}", number.parse::<f64>().unwrap_or_default());
            rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The models, one line each.
pub(super) fn model_table(models: &[Model]) -> String {
    let header = ["model", "table", "key", "attributes"]
        .map(str::to_owned)
        .to_vec();
    let row = |model: &Model| {
        let names: Vec<&str> = model
            .attributes
            .iter()
            .map(|attribute| attribute.name.as_str())
            .collect();
        vec![
            model.name.clone(),
            model.table.clone(),
            key(model),
            names.join(" "),
        ]
    };
    table(
        &std::iter::once(header)
            .chain(models.iter().map(row))
            .collect::<Vec<_>>(),
        false,
    )
}

/// One model, one line per attribute.
pub(super) fn attribute_table(model: &Model) -> String {
    let header = ["attribute", "type", "options"].map(str::to_owned).to_vec();
    let row = |attribute: &Attribute| {
        vec![
            attribute.name.clone(),
            attribute.r#type.clone(),
            options(attribute),
        ]
    };
    let rows: Vec<_> = std::iter::once(header)
        .chain(model.attributes.iter().map(row))
        .collect();
    let Model {
        name,
        table: stored_in,
        unknown_attributes,
        ..
    } = model;
    let title = format!(
        "{name}: table {stored_in}, key {}, unknown attributes: {unknown_attributes}\n\n",
        key(model)
    );
    format!("{}{}", printable(&title), table(&rows, false))
}

/// A model as JSON fields; unset fields are left out.
pub(super) fn model_fields(model: &Model) -> Item {
    let mut fields = texts(&[
        ("name", &model.name),
        ("table", &model.table),
        ("partition_key", &model.partition_key),
        ("sort_key", &model.sort_key),
        ("unknown_attributes", &model.unknown_attributes),
    ]);
    let attributes: Vec<Value> = model
        .attributes
        .iter()
        .map(|attribute| attribute_fields(attribute).into())
        .collect();
    fields.insert("attributes".to_owned(), attributes.into());
    if let Some(protect) = &model.protect {
        let mut of_protect = texts(&[("mode", &protect.mode), ("key_id", &protect.key_id)]);
        of_protect.insert("allow_unsealed".to_owned(), protect.allow_unsealed.into());
        fields.insert("protect".to_owned(), of_protect.into());
    }
    fields
}

fn attribute_fields(attribute: &Attribute) -> Item {
    let mut fields = texts(&[
        ("name", &attribute.name),
        ("type", &attribute.r#type),
        ("min", &attribute.min),
        ("max", &attribute.max),
        ("pattern", &attribute.pattern),
    ]);
    fields.insert("required".to_owned(), attribute.required.into());
    let lengths = [
        ("min_length", attribute.min_length),
        ("max_length", attribute.max_length),
    ];
    fields.extend(
        lengths
            .into_iter()
            .filter_map(|(name, length)| Some((name.to_owned(), length?.into()))),
    );
    if let Some(default) = attribute
        .default
        .clone()
        .and_then(|value| Value::try_from(value).ok())
    {
        fields.insert("default".to_owned(), typed::write(default, &attribute.r#type));
    }
    let allowed: Vec<Value> = attribute
        .r#enum
        .iter()
        .cloned()
        .filter_map(|value| Value::try_from(value).ok())
        .map(|value| typed::write(value, &attribute.r#type))
        .collect();
    if !allowed.is_empty() {
        fields.insert("enum".to_owned(), allowed.into());
    }
    if let Some(seal) = &attribute.encrypted {
        let mut options = texts(&[
            ("key_id", &seal.key_id),
            ("mode", &seal.mode),
            ("format", &seal.format),
        ]);
        let context = seal
            .context
            .iter()
            .map(|(name, text)| (name.clone(), Value::from(text.as_str())));
        options.insert("context".to_owned(), Value::Map(context.collect()));
        for (name, list) in [
            ("accepts", &seal.accepts),
            ("accept_formats", &seal.accept_formats),
        ] {
            if !list.is_empty() {
                let list: Vec<Value> = list.iter().map(|text| Value::from(text.as_str())).collect();
                options.insert(name.to_owned(), list.into());
            }
        }
        if seal.allow_plaintext {
            options.insert("allow_plaintext".to_owned(), true.into());
        }
        fields.insert("encrypted".to_owned(), options.into());
    }
    if let Some(place) = &attribute.s3 {
        fields.insert("s3".to_owned(), offload_fields(place).into());
    }
    fields
}

fn offload_fields(place: &Offload) -> Item {
    let mut options = texts(&[
        ("bucket", &place.bucket),
        ("prefix", &place.prefix),
        ("region", &place.region),
    ]);
    if let Some(above) = place.offload_above {
        options.insert("offload_above".to_owned(), above.into());
    }
    options
}

fn texts(fields: &[(&str, &String)]) -> Item {
    let set = fields.iter().filter(|(_, text)| !text.is_empty());
    set.map(|(name, text)| ((*name).to_owned(), Value::from(text.as_str())))
        .collect()
}

fn key(model: &Model) -> String {
    match model.sort_key.as_str() {
        "" => model.partition_key.clone(),
        sort_key => format!("{}, {sort_key}", model.partition_key),
    }
}

fn options(attribute: &Attribute) -> String {
    let mut options = Vec::new();
    if attribute.required {
        options.push("required".to_owned());
    }
    if let Some(seal) = &attribute.encrypted {
        options.push(format!(
            "encrypted ({}, {}, {})",
            seal.key_id, seal.mode, seal.format
        ));
    }
    if let Some(place) = &attribute.s3 {
        let above = place.offload_above.map(|above| format!(" above {above} bytes"));
        let above = above.unwrap_or_default();
        options.push(format!("in S3{above} ({}/{})", place.bucket, place.prefix));
    }
    let bounds = [
        ("min", &attribute.min),
        ("max", &attribute.max),
        ("pattern", &attribute.pattern),
    ];
    options.extend(
        bounds
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| format!("{name} {text}")),
    );
    let lengths = [
        ("min_length", attribute.min_length),
        ("max_length", attribute.max_length),
    ];
    options.extend(
        lengths
            .iter()
            .filter_map(|(name, length)| length.map(|length| format!("{name} {length}"))),
    );
    options.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(call_count: u64, total: f64) -> OperationMetrics {
        let cost = tollgate_proto::v1::Cost {
            total,
            ..Default::default()
        };
        OperationMetrics {
            call_count,
            cost: Some(cost),
            ..OperationMetrics::default()
        }
    }

    #[test]
    fn totals_are_printed_with_a_column_per_operation() {
        let totals = Totals {
            total: metrics(1200, 0.1 + 0.2),
            by_operation: [
                ("Save".to_owned(), metrics(1000, 0.1)),
                ("Get".to_owned(), metrics(200, 0.2)),
            ]
            .into(),
            ..Totals::default()
        };
        let text = total_table(&totals);
        let line = |name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
        };
        assert_eq!(
            line("call_count"),
            Some(vec!["call_count", "1200", "200", "1000"])
        );
        assert_eq!(line("cost.total"), Some(vec!["cost.total", "0.3", "0.2", "0.1"]));
        assert!(
            text.lines()
                .next()
                .is_some_and(|header| header.ends_with("total  Get  Save"))
        );
    }

    #[test]
    fn json_uses_the_names_of_the_contract() {
        let fields = fields(&metrics(3, 0.5));
        assert_eq!(fields["call_count"], 3.into());
        assert_eq!(
            super::super::json::compact(&fields["cost"]),
            r#"{"dynamodb":0,"kms":0,"s3":0,"total":0.5}"#
        );
    }

    #[test]
    fn models_are_printed_in_order() {
        let attribute = |name: &str| Attribute {
            name: name.into(),
            r#type: "string".into(),
            ..Attribute::default()
        };
        let model = Model {
            name: "User".into(),
            table: "users".into(),
            partition_key: "pk".into(),
            sort_key: "sk".into(),
            attributes: vec![
                attribute("pk"),
                Attribute {
                    required: true,
                    ..attribute("email\u{1b}")
                },
            ],
            ..Model::default()
        };
        assert!(attribute_table(&model).contains("email\\u{1b}  string  required\n"));
        assert!(model_table(&[model]).contains("User   users  pk, sk  pk email"));
    }
}
