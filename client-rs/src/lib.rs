//! Client for tollgate, the gateway to DynamoDB, KMS and S3: items as your own types, streams over all pages, and the bill
//! of every call.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use tollgate_client::{Client, Key};
//!
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     pk: String,
//!     sk: String,
//!     name: String,
//!     age: Option<u32>,
//! }
//!
//! # async fn example() -> Result<(), tollgate_client::Error> {
//! let client = Client::connect("http://127.0.0.1:50051").await?;
//! let billing = client.session("billing-run-7");
//!
//! let ada = User { pk: "USER#1".into(), sk: "PROFILE".into(), name: "Ada".into(), age: Some(36) };
//! let saved = billing.save("User", &ada).await?;
//! println!("{} write units, $ {}", saved.metrics.wcu, saved.metrics.cost_usd);
//!
//! let read = billing.get::<User>("User", Key::new("pk", "USER#1").and("sk", "PROFILE")).await?;
//! println!("{} for {} KMS calls", read.value.name, read.metrics.kms_calls);
//!
//! println!("{} calls in this session", billing.total().await?.call_count);
//! # Ok(())
//! # }
//! ```
//!
//! # Items
//!
//! Every call accepts and returns any serde type that is a struct or a map, or a raw [`Item`] with exact kinds.
//!
//! | Rust | item |
//! |---|---|
//! | `String`, `char`, unit variants | `S` |
//! | integers up to 128 bits, floats, [`Number`] | `N`, exact; floats as their shortest text |
//! | [`Binary`], `serde_bytes` types | `B` |
//! | `bool` | `BOOL` |
//! | `None` | left out at the top level of an item, `NULL` below |
//! | `()` , [`Value::Null`] | `NULL` |
//! | `Vec`, tuples (also `Vec<u8>`) | `L` |
//! | structs, maps, variants with content | `M` |
//! | [`StringSet`], [`NumberSet`], [`BinarySet`] | `SS`, `NS`, `BS` |
//! | [`Object`] | an object in S3 |
//!
//! There is no derive macro: the model file on the server says what an attribute is, and a serde type says how your program
//! reads it. A macro would repeat the first or hide the second.
//!
//! # Conditions and updates
//!
//! [`attr`] begins conditions and filters, [`key`] key conditions, and [`update`] updates. What they build is valid in
//! DynamoDB's syntax: values and unusual names have placeholders, and what DynamoDB would refuse is an error of the call
//! before anything is sent. [`expr`] accepts text instead.
//!
//! ```no_run
//! # use tollgate_client::{attr, key, update, Client, Error, Item, Query, UpdateOptions};
//! # async fn example(client: Client) -> Result<(), Error> {
//! let recent = Query {
//!     filter: attr("total").gt(100).and(attr("status").is_in(["open", "paid"]).or(attr("gift").exists())),
//!     ..Query::new("Order", key("pk").eq("USER#1").and_sort(key("sk").begins_with("ORDER#2026")))
//! };
//! let orders = client.query::<Item>(recent);
//!
//! let changes = update().set("status", "paid").set("visits", attr("visits").if_not_exists(0) + 1).remove("cart");
//! let only_if_open = UpdateOptions { condition: attr("status").eq("open"), ..UpdateOptions::default() };
//! client.update_with("Order", key("pk").eq("USER#1").and("sk", "ORDER#2026-7"), changes, only_if_open).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Complete items
//!
//! A Save replaces the whole item, so a program that reads a part of an item and saves it loses the rest. Therefore reads
//! return incomplete items only as [`Partial`], which no call accepts as an item. `fields`, indexes that do not contain all
//! attributes, withheld and unreadable attributes make items incomplete.
//!
//! # Versions
//!
//! If the model has a version attribute, it is a field of your type like any other: `rev: Option<u64>`. It is read with the
//! item, and [`Client::save_mut`] keeps it current. A Save of an item without a version creates, a Save of one with a version
//! replaces exactly that version: [`Refusal::VersionMismatch`] means that another caller was faster, and the same object
//! fails again until it is read again.
//!
//! # Streams
//!
//! [`Client::query`] and [`Client::scan`] return [`futures::Stream`]s. An item that cannot be read is an `Err`, and the stream
//! continues. If the connection breaks, the stream resumes after the last page. [`Client::batch_get`] and
//! [`Client::batch_write`] are streams too.
//!
//! ```no_run
//! # use serde::Deserialize;
//! # use tollgate_client::{attr, Client, Error, Key, Query};
//! # #[derive(Deserialize)] struct User { name: String }
//! use futures::StreamExt as _;
//!
//! # async fn example(client: Client) -> Result<(), Error> {
//! let mut users = client.query::<User>(Query {
//!     filter: attr("age").ge(18),
//!     limit: 100,
//!     ..Query::new("User", Key::new("pk", "USER#1"))
//! });
//! while let Some(user) = users.next().await {
//!     match user {
//!         Ok(user) => println!("{}", user.name),
//!         Err(error) if error.is_of_item() => eprintln!("invalid item: {error}"),
//!         Err(error) => return Err(error),
//!     }
//! }
//! println!("{}", users.metrics());
//! # Ok(())
//! # }
//! ```
//!
//! # Objects
//!
//! [`Client::download`] returns the content of an object of any size: as a [`futures::Stream`], in a writer
//! ([`Content::write_to`]) or in a file ([`Content::into_file`]). If the connection breaks, it is resumed where it broke. A
//! whole content is verified against its SHA-256.
//!
//! [`Client::presign`] returns a time-limited URL with which any HTTP client reads or uploads one object. A write takes an
//! upload up with [`Object::uploaded`].
//! [`Client::upload`] writes an item with contents of any size, from bytes, files or readers ([`Source`]). The server
//! compares each with its SHA-256 before it writes the item.
//!
//! # Errors and retries
//!
//! An [`Error`] contains tollgate's [`Reason`], the invalid fields ([`Error::violations`]), the reason of a refused write as a
//! type ([`Error::refusal`]) and the bill ([`Error::metrics`]), because failed calls cost too. Retryable calls are retried
//! automatically: reads always, writes only if it is certain that nothing was changed, or if they are idempotent. [`Retry`]
//! limits the number of attempts and the time.
//!
//! # Features
//!
//! `tls`: support for `https://` addresses, with rustls over ring and the root certificates of the system.

mod batch_get;
mod batch_write;
mod client;
mod count;
mod data;
mod download;
mod download_file;
mod error;
mod expression;
mod listing;
mod metrics;
mod options;
mod partial;
mod presign;
mod progress;
mod refusal;
mod requests;
mod retry;
mod stream;
mod totals;
mod transaction;
mod upload;
mod value;
mod written;

pub use batch_get::{BatchItems, Got};
pub use batch_write::{BatchResults, BatchWriter, BatchWritten, Write};
pub use client::{Client, Response, Session};
pub use count::{Count, Counts};
pub use download::{Content, Download};
pub use error::{Error, Violation, code_name};
pub use expression::{
    Assigned, Attr, Computed, Expression, IntoAssigned, IntoComputed, IntoOperand, Key, KeyAttr,
    KeyCondition, KeyRange, Kind, Operand, Size, Update, attr, expr, key, not, update, value,
};
pub use listing::{Query, Scan};
pub use metrics::{CallMetrics, SessionMetrics};
#[cfg(feature = "tls")]
pub use options::ClientIdentity;
pub use options::{Compression, Options};
pub use partial::{ByModel, Partial, Readable, Unreadable};
pub use presign::{Presign, PresignedContent, PresignedUrl};
pub use progress::Progress;
pub use refusal::{OperationFailure, Refusal};
pub use requests::{DeleteOptions, Get, GetOptions, ReturnValues, SaveOptions, UpdateOptions};
pub use retry::Retry;
pub use stream::{Items, Page, Pages};
pub use totals::{Attribute, FinishedCall, Model, OperationMetrics, Scope, Totals};
pub use transaction::Transaction;
pub use upload::{Source, Upload};
pub use value::{
    Binary, BinarySet, InvalidNumber, Item, Number, NumberSet, Object, StringSet, Value, ValueError,
    from_item, to_item, to_value,
};
pub use written::{Saved, Updated, Written};

pub use tollgate_proto::Reason;
pub use tonic::Code;
