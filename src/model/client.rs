//! The id and the secret of an OIDC client: on their way from a Secret to AWS, and kept nowhere.

use std::fmt;

/// Neither stored nor shown: it is no part of any spec, and its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    pub id: String,
    pub secret: String,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCredentials(hidden)")
    }
}
