//! Black-box tests: the real gateway on a free port, through the wire, over the embedded engines.

mod bill;
mod errors;
mod exact;
mod leaving;
mod load;
mod objects;
mod pages;
mod reload;
mod tamper;
mod walls;
