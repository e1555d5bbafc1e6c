//! IAM, and the two calls of STS and EKS that tell who and where we are.

mod document;
mod read;
mod write;
#[cfg(test)]
mod tests;
