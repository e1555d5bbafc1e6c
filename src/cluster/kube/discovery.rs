//! Which kinds the API server serves, read one group version at a time and kept.

use std::{collections::BTreeMap, sync::Mutex};

use serde_json::Value;

use super::{KindFact, KubeCluster, lock, request::Failure};

pub(super) type Kinds = BTreeMap<String, KindFact>;

/// What was found so far, by apiVersion. Only what is served is remembered: an unknown kind is asked for each time, for
/// its CRD may have come meanwhile.
#[derive(Default)]
pub(super) struct Discovery {
    versions: Mutex<BTreeMap<String, Kinds>>,
}

impl Discovery {
    /// Exactly this version of the kind; `None` when it is not served.
    pub async fn find(
        &self,
        cluster: &KubeCluster,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<KindFact>, Failure> {
        let known = lock(&self.versions)
            .get(api_version)
            .and_then(|kinds| kinds.get(kind).cloned());
        if known.is_some() {
            return Ok(known);
        }
        let kinds = match cluster.fetch_path(&base_path(api_version)).await {
            Ok(answer) => parse(&answer),
            Err(failure) if failure.is_unserved() || failure.is_absent() => Kinds::new(),
            Err(failure) => return Err(failure),
        };
        let fact = kinds.get(kind).cloned();
        self.remember(api_version, kinds);
        Ok(fact)
    }

    pub fn remember(&self, api_version: &str, kinds: Kinds) {
        lock(&self.versions).insert(api_version.to_owned(), kinds);
    }

    /// This version of the kind, or else any that is served: to find what was applied in a version that is gone.
    pub async fn find_any(
        &self,
        cluster: &KubeCluster,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<(String, KindFact)>, Failure> {
        if let Some(fact) = self.find(cluster, api_version, kind).await? {
            return Ok(Some((api_version.to_owned(), fact)));
        }
        let Some((group, _)) = api_version.split_once('/') else {
            return Ok(None);
        };
        let answer = match cluster.fetch_path(&format!("/apis/{group}")).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_unserved() || failure.is_absent() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let versions = answer["versions"].as_array().cloned().unwrap_or_default();
        for version in versions {
            if let Some(version) = version["groupVersion"].as_str()
                && let Some(fact) = self.find(cluster, version, kind).await?
            {
                return Ok(Some((version.to_owned(), fact)));
            }
        }
        Ok(None)
    }

    /// The API server does not know a path that we made from what is kept here.
    pub fn forget(&self, api_version: &str) {
        lock(&self.versions).remove(api_version);
    }
}

/// `/api/v1` or `/apis/GROUP/VERSION`.
pub(super) fn base_path(api_version: &str) -> String {
    match api_version.contains('/') {
        true => format!("/apis/{api_version}"),
        false => format!("/api/{api_version}"),
    }
}

fn parse(answer: &Value) -> Kinds {
    answer["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|resource| {
            let plural = resource["name"]
                .as_str()
                .filter(|name| !name.contains('/'))?;
            let kind = resource["kind"].as_str()?;
            let fact = KindFact {
                plural: plural.to_owned(),
                namespaced: resource["namespaced"] == true,
            };
            Some((kind.to_owned(), fact))
        })
        .collect()
}
