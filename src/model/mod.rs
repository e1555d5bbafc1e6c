//! Documents and facts to desired state: pure.

pub mod applied;
pub mod build;
pub mod call;
pub mod desired;
pub mod elb;
pub mod facts;
pub mod iam;
pub mod net;
pub mod object;
pub mod observed;
pub mod settings;
pub mod tags;
