//! A terminal SIP/MSRP chat client.
fn main() {}
