//! Desired minus observed: an ordered list of operations, complete before anything is done. Pure.

pub mod audit;
pub mod diff;
pub mod guard;
pub mod op;
pub mod order;
pub mod record;
pub mod render;
