//! What the server can hold at one time: bytes of memory and calls in flight, in total and per connection. Every bound
//! is enforced by a guard that releases what it holds when dropped. Never looks at what the bytes and calls are for.
//!
//! | what | bound |
//! |---|---|
//! | bytes in total | `limits.memory` |
//! | bytes of one connection | half of the total, unless a single call needs more; small calls may use another 1/32 |
//! | the last quarter of the bytes | reserved for connections that hold at most 1/32 of `limits.memory` |
//! | calls of a pool | the pool's permits, in total and per connection; fewer while the processors cannot keep up |
//! | calls and consumption of a caller | the limits of its account |

mod account;
mod accounts;
mod allowance;
mod hold;
mod memory;
mod overload;
mod permits;
mod pool;
mod server;
mod share;
#[cfg(test)]
mod tests;

pub use account::{Account, Consumption, Exceeded, Place};
pub use accounts::Accounts;
pub use allowance::{CallerLimits, Entry as CallerEntry};
pub use hold::{Hold, Reservation, Waiting};
pub use memory::OutOfMemory;
pub use permits::LimitReached;
pub use pool::Pool;
pub use server::{Capacity, Limits};
pub use share::Share;
