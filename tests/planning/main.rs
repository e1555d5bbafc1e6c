//! Plans against an account and a cluster in memory: what is planned is carried out, looked at and planned again.

mod bugs;
mod drift;
mod encryption;
mod fixture;
mod held;
mod life;
mod limits;
mod random;
mod security_groups;
mod whole;
mod words;
mod world;
