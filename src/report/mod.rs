//! What people see.

pub mod event;
