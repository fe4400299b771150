//! `update`: changes attributes of one item in place. `name=value` arguments that are not part of the key are set.

use std::collections::BTreeSet;

use tollgate_client::{Client, Expression, Item, Model, ReturnValues, UpdateOptions, Value, expr};

use super::args::{Returned, Update};
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::placeholders::Kinds;
use super::{connection, input, keys, typed};

impl Update {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        let attributes = input::attributes(&model, &self.attributes).await?;
        let (key, assigned) = keys::split(&model, attributes);
        let update = self.update(&model, assigned)?;
        let options = UpdateOptions {
            version: self.version,
            condition: input::expression(&model, self.condition.as_deref(), &self.values)?,
            return_values: self.returned.into(),
            must_exist: self.must_exist,
            request_id: self.request_id.clone(),
            validate_only: self.validate_only,
            ..UpdateOptions::default()
        };
        let result = client.update_with(&self.model, key, update, options).await?;
        if self.validate_only {
            output.remark("valid: nothing was written")?;
        }
        let updated = result.value;
        let Some(item) = updated.item.or(updated.old_item) else {
            output.nothing(&result.metrics)?;
            return Ok(Outcome::Done);
        };
        output.withheld(item.withheld().iter().map(String::as_str))?;
        let withheld: Vec<Value> = item.withheld().iter().cloned().map(Value::String).collect();
        let item = item.into_incomplete();
        let response = Item::from([
            (
                "generated".to_owned(),
                typed::write_item(&model, updated.generated),
            ),
            ("item".to_owned(), typed::write_item(&model, item.clone())),
            ("withheld".to_owned(), withheld.into()),
        ]);
        output.item(&model, item, response, &result.metrics)?;
        Ok(Outcome::Done)
    }

    /// The update expression of the options, and of the attributes to set.
    fn update(&self, model: &Model, assigned: Item) -> Result<Expression, Failure> {
        let changes = [&self.set, &self.add, &self.delete].into_iter().flatten();
        let mut texts: Vec<Option<&str>> = changes.map(|text| Some(text.as_str())).collect();
        texts.push(self.condition.as_deref());
        input::check_placeholders(&texts, &self.values)?;
        // the names of placeholders that the arguments use
        let taken: BTreeSet<&str> = self
            .values
            .iter()
            .filter_map(|value| value.split(['=', ':']).nth(1))
            .collect();
        let mut names = (0..).map(|number| format!("attribute_{number}"));
        let mut sets = self.set.clone();
        let mut bound = Vec::new();
        for (name, value) in assigned {
            let placeholder = names.by_ref().find(|name| !taken.contains(name.as_str()));
            let placeholder = placeholder.unwrap_or_default();
            sets.push(format!("#{placeholder} = :{placeholder}"));
            bound.push((placeholder, name, value));
        }
        let clauses = [
            ("SET", &sets),
            ("REMOVE", &self.remove),
            ("ADD", &self.add),
            ("DELETE", &self.delete),
        ];
        let clauses: Vec<String> = clauses
            .into_iter()
            .filter(|(_, actions)| !actions.is_empty())
            .map(|(clause, actions)| format!("{clause} {}", actions.join(", ")))
            .collect();
        if clauses.is_empty() {
            return Err(Failure::Arguments(
                "nothing to change: give name=value, --set, --remove, --add or --delete".to_owned(),
            ));
        }
        let text = clauses.join(" ");
        let kinds = Kinds::of_changes(model, [&self.set, &self.add, &self.delete].into_iter().flatten());
        let mut update = expr(text.as_str());
        for (name, value) in input::placeholders(&text, &kinds, &self.values)? {
            update = update.bind(name, value);
        }
        for (placeholder, name, value) in bound {
            update = update
                .bind(format!(":{placeholder}"), value)
                .name(format!("#{placeholder}"), name);
        }
        Ok(update)
    }
}

impl From<Returned> for ReturnValues {
    fn from(returned: Returned) -> ReturnValues {
        match returned {
            Returned::None => ReturnValues::None,
            Returned::AllOld => ReturnValues::AllOld,
            Returned::AllNew => ReturnValues::AllNew,
            Returned::UpdatedOld => ReturnValues::UpdatedOld,
            Returned::UpdatedNew => ReturnValues::UpdatedNew,
        }
    }
}
