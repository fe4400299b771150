//! client-rs
