//! Field by field, exhaustive.
