//! CHECKS: named checks across the documents of one commit.
