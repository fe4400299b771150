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
//! # Streams
//!
//! [`Client::query`] and [`Client::scan`] return [`futures::Stream`]s. An invalid item is an `Err`, and the stream
//! continues. If the connection breaks, the stream resumes after the last page.
//!
//! ```no_run
//! # use serde::Deserialize;
//! # use tollgate_client::{expr, Client, Error, Key, Query};
//! # #[derive(Deserialize)] struct User { name: String }
//! use futures::StreamExt as _;
//!
//! # async fn example(client: Client) -> Result<(), Error> {
//! let mut users = client.query::<User>(Query {
//!     filter: expr("age >= :least").bind(":least", 18),
//!     limit: 100,
//!     ..Query::new("User", Key::new("pk", "USER#1"))
//! });
//! while let Some(user) = users.next().await {
//!     match user {
//!         Ok(user) => println!("{}", user.name),
//!         Err(error) if error.key().is_some() => eprintln!("invalid item: {error}"),
//!         Err(error) => return Err(error),
//!     }
//! }
//! println!("{}", users.metrics());
//! # Ok(())
//! # }
//! ```
//!
//! # Errors and retries
//!
//! An [`Error`] contains tollgate's [`Reason`], the invalid fields ([`Error::violations`]) and the bill
//! ([`Error::metrics`]), because failed calls cost too. Retryable calls are retried automatically: reads always, writes only
//! if it is certain that nothing was changed. [`Retry`] limits the number of attempts and the time.
//!
//! # Features
//!
//! `tls`: support for `https://` addresses, with rustls over ring and the root certificates of the system.

mod client;
mod data;
mod error;
mod expression;
mod listing;
mod metrics;
mod options;
mod retry;
mod stream;
mod totals;
mod value;

pub use client::{Client, Response, Session};
pub use data::{DeleteOptions, Found, GetOptions, ReturnValues, SaveOptions, Saved};
pub use error::{Error, Violation, code_name};
pub use expression::{Expression, Key, expr};
pub use listing::{Query, Scan};
pub use metrics::{CallMetrics, SessionMetrics};
pub use options::Options;
pub use retry::Retry;
pub use stream::{Count, Items, Page, Pages};
pub use totals::{Attribute, FinishedCall, Model, OperationMetrics, Scope, Totals};
pub use value::{
    Binary, BinarySet, InvalidNumber, Item, Number, NumberSet, Object, StringSet, Value, ValueError,
    from_item, to_item, to_value,
};

pub use tollgate_proto::Reason;
pub use tonic::Code;
