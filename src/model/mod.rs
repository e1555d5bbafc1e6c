//! Documents and facts to desired state: pure.

pub mod applied;
pub mod attribute;
pub mod build;
pub mod call;
pub mod client;
pub mod confine;
pub mod desired;
pub mod digest;
pub mod elb;
pub mod elsewhere;
pub mod facts;
pub mod glob;
pub mod grounds;
pub mod group;
pub mod iam;
pub mod lbc;
pub mod leaving;
pub mod net;
pub mod object;
pub mod observed;
pub mod policy;
pub mod previous;
pub mod quota;
pub mod settings;
pub mod tags;

pub use build::{build, build_on};
