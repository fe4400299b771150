//! Black-box tests: the real gateway on a free port, through the wire, over the embedded engines.

mod bill;
mod bodies;
mod capacity;
mod collections;
mod connections;
mod errors;
mod exact;
mod indexes;
mod kept;
mod keys;
mod leaving;
mod load;
mod memory;
mod objects;
mod page_limits;
mod pages;
mod pointers;
mod races;
mod reflection;
mod reload;
mod sealing;
mod sessions;
mod tamper;
mod tracker;
mod update;
mod versions;
