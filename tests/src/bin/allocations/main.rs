//! A gateway, or a program that calls the SDK, that counts its allocations: for the part `allocations` of `cargo
//! bench-gateway`, which starts both. Never part of what ships.
//!
//! `allocations serve …` is `tollgate serve …`, with the same arguments. `allocations direct URL TABLE` calls the SDK, a
//! GetItem for each line `get`. Both print how many times they have allocated for each line `count`.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::alloc::System;
use std::collections::HashMap;
use std::process::ExitCode;

use aws_sdk_dynamodb::types::AttributeValue;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tollgate_tests::sdk::default_client;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [role, endpoint, table] if role == "direct" => direct(endpoint, table),
        _ => {
            std::thread::spawn(|| {
                for _ in std::io::stdin().lines() {
                    println!("{}", count());
                }
            });
            tollgate::cli::main()
        }
    }
}

/// Allocations since the start, those included that made one larger.
fn count() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

fn direct(endpoint: &str, table: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("threads start");
    let client = default_client(endpoint);
    for line in std::io::stdin().lines() {
        if line.is_ok_and(|line| line == "get") {
            let request = client.get_item().table_name(table).set_key(Some(key()));
            let found = runtime.block_on(request.send()).expect("GetItem succeeds");
            assert!(found.item.is_some(), "the endpoint has the item");
        }
        println!("{}", count());
    }
    ExitCode::SUCCESS
}

fn key() -> HashMap<String, AttributeValue> {
    let pair = |name: &str, text: &str| (name.to_owned(), AttributeValue::S(text.to_owned()));
    HashMap::from([pair("pk", "USER#0"), pair("sk", "PROFILE")])
}
