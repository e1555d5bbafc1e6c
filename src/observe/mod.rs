//! AWS and the cluster to [`crate::model::facts::Facts`] and [`crate::model::observed::Observed`]: reads only.

pub mod aws;
pub mod cluster;
