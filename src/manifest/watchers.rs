//! Which Ingresses look at what beyond themselves, so that they are looked at again when it is different.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::document::{Document, Typed};
use crate::shared::Shared;

/// What an Ingress looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic<'a> {
    /// By namespace and name.
    Service(&'a str, &'a str),
    /// What the members of a group say, by the annotation's text.
    Group(&'a str),
}

impl Topic<'_> {
    /// Two topics of one hash share their watchers: who asks must look whether he meant them.
    fn hash(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        Hash::hash(&self, &mut hasher);
        hasher.finish()
    }
}

/// By a topic's hash and the document's address.
#[derive(Debug, Default)]
pub(super) struct Watchers(BTreeMap<(u64, usize), Shared<Document>>);

impl Watchers {
    pub fn add(&mut self, documents: &[Shared<Document>]) {
        let entries = documents.iter().flat_map(|document| {
            let address = document.address();
            topics(document)
                .into_iter()
                .map(move |topic| ((topic, address), document.clone()))
        });
        if self.0.is_empty() {
            // In order, which takes less time than one by one.
            self.0 = entries.collect();
        } else {
            self.0.extend(entries);
        }
    }

    pub fn remove(&mut self, document: &Shared<Document>) {
        for topic in topics(document) {
            self.0.remove(&(topic, document.address()));
        }
    }

    /// The documents that look at it, and perhaps a few others.
    pub fn of(&self, topic: Topic<'_>) -> impl Iterator<Item = &Shared<Document>> {
        let hash = topic.hash();
        let entries = self.0.range((hash, 0)..=(hash, usize::MAX));
        entries.map(|(_, document)| document)
    }
}

fn topics(document: &Document) -> Vec<u64> {
    let Typed::Ingress(ingress, uses) = &document.typed else {
        return Vec::new();
    };
    let named = ingress.named_backends().map(|backend| backend.name);
    let services = uses.iter().map(|backend| backend.service.value.as_str());
    let services = named.chain(services);
    let services = services.map(|name| Topic::Service(&ingress.namespace, name).hash());
    let group = ingress.options.group.name.iter();
    let group = group.map(|name| Topic::Group(&name.text).hash());
    let mut topics: Vec<u64> = services.chain(group).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}
