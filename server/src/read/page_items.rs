//! The items of a page: as stored, with what they need, and opened.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use super::error::Error;
use super::opener::Opener;
use crate::item::ItemId;
use crate::item::load::Opened;
use crate::model::size::stored_bytes;
use crate::model::{Item, Model};

/// Items opened in parallel; their KMS requests have a separate limit.
const ITEMS_IN_FLIGHT: usize = 64;

/// One item of a page.
pub struct PageItem {
    /// The name of its model, if the request names several.
    pub model: Option<String>,
    /// Whether attributes are left out.
    pub partial: bool,
    /// The opened item, or its key and the reason why it cannot be opened.
    pub outcome: Result<Opened, (Item, Error)>,
}

/// A stored item with its size.
pub(super) struct SizedItem {
    model: Arc<Model>,
    item: Item,
    /// Its size in the store.
    pub(super) stored_bytes: usize,
    /// Content that comes with it.
    pub(super) inline_bytes: u64,
}

impl SizedItem {
    /// An item of this model.
    pub(super) fn new(opener: &Opener, model: Arc<Model>, item: Item) -> SizedItem {
        SizedItem {
            stored_bytes: stored_bytes(&item),
            inline_bytes: opener.inline_bytes(&model, &item),
            model,
            item,
        }
    }

    /// The stored item.
    pub(super) fn stored(&self) -> &Item {
        &self.item
    }
}

/// The content that comes with these items.
pub(super) fn inline_bytes(items: &[SizedItem]) -> u64 {
    items
        .iter()
        .fold(0, |sum: u64, item| sum.saturating_add(item.inline_bytes))
}

/// Records an item of a page for the audit log.
fn record(opener: &Opener, sized: &SizedItem) {
    let Some(record) = opener.call.audit() else { return };
    if let Some(id) = ItemId::of_stored(&sized.model, &sized.item) {
        record.add_item(&id.into_bytes());
    }
}

/// Opens the items of a message and returns the results in their order. Those that have to be waited for are opened in
/// parallel, with all that follow.
pub(super) async fn open(opener: &Opener, items: Vec<SizedItem>) -> Result<Vec<PageItem>, Error> {
    let result = |model: &Model, outcome| PageItem {
        model: (!opener.view.others.is_empty()).then(|| model.name.clone()),
        partial: opener.view.is_partial(),
        outcome,
    };
    let mut results = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    let mut opening = Vec::new();
    for mut sized in items.by_ref() {
        record(opener, &sized);
        match opener.view.open_at_once(&sized.model, sized.item) {
            Ok(opened) => {
                opened.record(&opener.call);
                results.push(result(&sized.model, Ok(opened)));
            }
            Err(stored) => {
                sized.item = stored;
                opening.push(sized);
                break;
            }
        }
    }
    opening.extend(items.inspect(|sized| record(opener, sized)));
    let opening: Vec<_> = opening
        .into_iter()
        .map(|sized| async move {
            let opened = opener.open_of_page(&sized.model, sized.item, sized.inline_bytes);
            let outcome = opened.await;
            (sized.model, outcome)
        })
        .collect();
    let mut opening = stream::iter(opening).buffered(ITEMS_IN_FLIGHT);
    while let Some((model, outcome)) = opening.next().await {
        match outcome {
            Err((_, error)) if error.ends_the_call() => return Err(error),
            outcome => results.push(result(&model, outcome)),
        }
    }
    Ok(results)
}
