//! The dozen calls of EC2 that we need: the network's facts and security groups.

mod convert;
mod read;
mod write;
#[cfg(test)]
mod tests;
