//! Elastic Load Balancing v2.

mod convert;
mod read;
mod write;
#[cfg(test)]
mod tests;
