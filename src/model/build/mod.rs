//! One aspect of the model per file.
