//! Client of tollgate, the gateway in front of DynamoDB, KMS and S3: items as types of yours, streams that turn their
//! pages, and the bill of every call.
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
//! Every call takes and answers any serde type that is a struct or a map, or a raw [`Item`] with exact kinds.
//!
//! | Rust | item |
//! |---|---|
//! | `String`, `char`, unit variants | `S` |
//! | integers up to 128 bits, floats, [`Number`] | `N`, exact; floats by their shortest text |
//! | [`Binary`], `serde_bytes` types | `B` |
//! | `bool` | `BOOL` |
//! | `None` | left out at the top of an item, `NULL` below |
//! | `()` , [`Value::Null`] | `NULL` |
//! | `Vec`, tuples (also `Vec<u8>`) | `L` |
//! | structs, maps, variants that hold something | `M` |
//! | [`StringSet`], [`NumberSet`], [`BinarySet`] | `SS`, `NS`, `BS` |
//! | [`Object`] | an object in S3 |
//!
//! # Streams
//!
//! [`Client::query`] and [`Client::scan`] are [`futures::Stream`]s. One bad item is one `Err`, and the stream goes on;
//! a broken connection is resumed after the last page.
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
//!         Err(error) if error.key().is_some() => eprintln!("one bad item: {error}"),
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
//! An [`Error`] has tollgate's [`Reason`], the wrong fields ([`Error::violations`]) and the bill ([`Error::metrics`]):
//! failed calls cost too. Calls whose reason says that a retry helps are sent again by themselves: reads always,
//! writes only where it is certain that nothing was changed. [`Retry`] bounds how often and how long.
//!
//! # Features
//!
//! `tls`: `https://` addresses, by rustls over ring with the system's roots.

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

pub use client::{Answer, Client, Session};
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
