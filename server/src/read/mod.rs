//! Reads stored items for callers: one item by its key, or the pages of a Query or Scan. Opens encrypted attributes,
//! fetches the objects that are returned inline, streams single objects, and seals page tokens. Never writes, and never checks a request:
//! `operation` has done that.

mod batch;
mod batch_plan;
mod download;
mod error;
mod get;
mod inline_object;
mod memory;
mod opener;
mod page_items;
mod page_request;
mod page_token;
mod pages;
mod presign;
mod reader;
mod request_hash;
mod segment_position;
mod source;
mod store_request;
mod stored_pointer;
mod transact_get;
mod view;

pub use batch::{BatchPart, BatchResult};
pub use download::{Download, DownloadPart};
pub use error::Error;
pub use get::Get;
pub use memory::PageMemory;
pub use page_items::PageItem;
pub use page_request::PageRequest;
pub use page_token::PageTokens;
pub use pages::{Page, PageEnd};
pub use presign::Presign;
pub use reader::{Limits, Reader};
pub use request_hash::{RequestHash, RequestHasher};
pub use segment_position::SegmentPosition;
pub use source::{Segments, Source};
pub use view::{View, now};

pub use crate::item::load::{Opened, UnreadableAttribute};
pub use crate::item::protect::Extent;
