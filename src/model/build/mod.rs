//! One aspect of the model per file.

use super::{desired::Desired, facts::Facts, settings::Settings};
use crate::{manifest::Manifests, problem::Checked};

/// What the commit wants, given the facts. Pure; the order of documents and facts never matters.
pub fn build(_manifests: &Manifests, _facts: &Facts, _settings: &Settings) -> Checked<Desired> {
    Checked::default()
}
