//! What the tests stand on: the bed of real servers, the proxy in front of them, the daemon as a process.

// Not every test needs everything.
#![allow(dead_code, unused_imports)]

pub mod bed;
pub mod daemon;
pub mod http;
pub mod proxy;
pub mod repo;
