//! Objects whose key and metadata hold only hashes of their item's key: matched by scanning their table, never by guess.

use std::collections::HashMap;

use super::claims::Claimed;
use super::context::Context;
use super::error::Error;
use super::places::Root;
use super::pointed;
use crate::aws::Scan;
use crate::item::Key;
use crate::model::Item;
use crate::object::key::belongs_to;

/// The objects that no item of their table points to, each with its item if there is one. The scans are consistent and begin
/// after the grace period of the objects: an item that points to one of them has pointed to it since before.
pub(super) async fn unpointed(
    context: &Context,
    root: &Root,
    objects: Vec<Claimed>,
) -> Result<Vec<Claimed>, Error> {
    let mut by_table: HashMap<String, HashMap<String, Claimed>> = HashMap::new();
    for claimed in objects {
        let table = root.places[claimed.place].model.table.clone();
        let of_table = by_table.entry(table).or_default();
        of_table.insert(claimed.object.key.clone(), claimed);
    }
    let mut left = Vec::new();
    for (table, mut objects) in by_table {
        scan(context, root, &table, &mut objects).await?;
        left.extend(objects.into_values());
    }
    Ok(left)
}

async fn scan(
    context: &Context,
    root: &Root,
    table: &str,
    objects: &mut HashMap<String, Claimed>,
) -> Result<(), Error> {
    let mut start_key = None;
    while !objects.is_empty() {
        let scan = Scan {
            table: table.to_owned(),
            start_key,
            consistent_read: true,
            ..Scan::default()
        };
        let page = context.stores.dynamodb.scan(&context.call(), scan).await?;
        for item in &page.items {
            pointed::for_each(item, &mut |bucket, key| {
                if bucket == root.bucket {
                    objects.remove(key);
                }
            });
            set_owner(root, item, objects);
        }
        start_key = page.last_key;
        if start_key.is_none() {
            break;
        }
    }
    Ok(())
}

/// Records the item in whose folder an object is.
fn set_owner(root: &Root, item: &Item, objects: &mut HashMap<String, Claimed>) {
    for claimed in objects.values_mut() {
        let place = &root.places[claimed.place];
        let Some(key) = Key::from_item(&place.model, item) else {
            continue;
        };
        if belongs_to(&place.offload.prefix, &key, &claimed.object.key) {
            claimed.item_key = Some(key);
        }
    }
}
