#![doc = include_str!("ARCHITECTURE.md")]

pub mod id;
pub mod problem;
pub mod source;
pub mod manifest;
pub mod model;
pub mod observe;
pub mod plan;
pub mod apply;
pub mod store;
pub mod report;
pub mod aws;
pub mod cluster;
pub mod config;
pub mod converge;
pub mod daemon;
pub mod cli;
