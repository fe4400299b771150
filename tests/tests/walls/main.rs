//! Checks the architecture against the sources: which room imports which, which crates each room uses, and how long
//! files and functions are. Starts no server. Every check is also run on a small sample that it must reject.

mod circles;
mod crates;
mod graph;
mod imports;
mod items;
mod lengths;
mod lexer;
mod modules;
mod rooms;
mod statuses;
mod stores;
mod table;
mod workspace;
