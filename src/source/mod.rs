//! Git to bytes: where commits come from.

pub mod git;
pub mod snapshot;
pub mod watch;
