//! A checked Query or Scan, ready to be read page by page.

use std::collections::HashMap;

use super::request_hash::RequestHash;
use super::segment_position::SegmentPosition;
use super::source::Source;
use super::view::View;
use crate::aws::Selected;
use crate::model::Item;

/// A checked Query or Scan.
pub struct PageRequest {
    /// Where the items come from.
    pub source: Source,
    /// The parts of each item to read.
    pub view: View,
    /// A filter expression, with placeholders.
    pub filter: Option<String>,
    /// The placeholder names of all expressions.
    pub names: HashMap<String, String>,
    /// The placeholder values of all expressions.
    pub values: Item,
    /// Whether to see every write that was acknowledged before.
    pub consistent_read: bool,
    /// Where each segment begins.
    pub positions: Vec<SegmentPosition>,
    /// Binds page tokens to the request.
    pub request_hash: RequestHash,
    /// Items to return in total.
    pub limit: Option<u32>,
    /// Items that the store evaluates per page.
    pub page_size: Option<u32>,
    /// Whether to return only the number of items.
    pub count_only: bool,
    /// Whether only the server can say which items count: the store returns them, or their keys.
    pub counts_here: bool,
    /// Whether a local index must read whole items from the table.
    pub all_attributes: bool,
}

impl PageRequest {
    /// Whether the store needs to return only a number: without a limit no key is needed to resume from.
    pub(super) fn counts_in_store(&self) -> bool {
        self.count_only && self.limit.is_none() && !self.counts_here
    }

    /// What the store returns of the items.
    pub(super) fn selected(&self) -> Selected {
        match (self.counts_in_store(), self.all_attributes) {
            (true, _) => Selected::Count,
            (false, true) => Selected::AllAttributes,
            (false, false) => Selected::Attributes,
        }
    }

    /// The projection for the store; DynamoDB allows none if it counts, or if it returns all attributes.
    pub(super) fn projection(&self) -> Option<String> {
        match self.selected() {
            // the keys
            Selected::Attributes if self.count_only => {
                let projection = self.view.projection.as_ref();
                projection.map(|projection| projection.text.clone())
            }
            Selected::Attributes => self.view.projection_text(),
            Selected::AllAttributes | Selected::Count => None,
        }
    }

    /// The name of the index that is read, in the store.
    pub(super) fn index(&self) -> Option<String> {
        self.view.index.as_ref().map(|index| index.stored_name.clone())
    }
}
