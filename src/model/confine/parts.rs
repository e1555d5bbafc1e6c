//! The parts of a commit: which documents are whose, and what they use. By git alone, so that no fact moves a document
//! from one part to another.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{ObjectKey, StackId},
    manifest::{
        self, IamServiceAccount, Ingress, IngressClass, IngressClassParams, IngressOptions,
        Manifests, annotation::Setting, ingress::CONTROLLER,
    },
};

pub const INGRESS: &str = "Ingress";
pub const SERVICE: &str = "Service";
pub const SECRET: &str = "Secret";
pub const NAMESPACE: &str = "Namespace";
pub const SERVICE_ACCOUNT: &str = "ServiceAccount";
const IAM_ACCOUNT: &str = "IAMServiceAccount";
const CLASS: &str = "IngressClass";
const PARAMS: &str = "IngressClassParams";

const NETWORKING: &str = "networking.k8s.io";
const ELBV2: &str = "elbv2.k8s.aws";
const OURS: &str = "albsync.dev";

#[derive(Debug, Default)]
struct Part {
    own: BTreeSet<ObjectKey>,
    uses: BTreeSet<ObjectKey>,
}

/// Everything that can be held apart.
#[derive(Debug, Default)]
pub struct Parts {
    parts: BTreeMap<StackId, Part>,
}

impl Parts {
    pub fn of(manifests: &Manifests) -> Self {
        let uses = UsesOf::new(manifests);
        let mut parts: BTreeMap<StackId, Part> = BTreeMap::new();
        for ingress in &manifests.ingresses {
            let group = StackId::Group(uses.classes.group(ingress));
            let part = parts.entry(group).or_default();
            part.own.insert(ingress_key(ingress));
            uses.add(ingress, &mut part.uses);
        }
        for account in &manifests.iam_service_accounts {
            let part = parts.entry(StackId::Role(account.key())).or_default();
            part.own.insert(iam_key(account));
            let name = &account.service_account.name;
            let bound = key("", SERVICE_ACCOUNT, Some(&account.namespace), name);
            part.own.insert(bound);
            part.uses
                .insert(key("", NAMESPACE, None, &account.namespace));
        }
        Self { parts }
    }

    pub fn stacks(&self) -> impl Iterator<Item = &StackId> {
        self.parts.keys()
    }

    pub fn own(&self, stack: &StackId) -> impl Iterator<Item = &ObjectKey> {
        self.parts.get(stack).into_iter().flat_map(|part| &part.own)
    }

    pub fn uses(&self, stack: &StackId) -> impl Iterator<Item = &ObjectKey> {
        self.parts
            .get(stack)
            .into_iter()
            .flat_map(|part| &part.uses)
    }

    /// What any of them uses.
    pub fn all_uses(&self) -> impl Iterator<Item = &ObjectKey> {
        self.parts.values().flat_map(|part| &part.uses)
    }

    /// Whose document it is.
    pub fn owners<'a>(&'a self, key: &'a ObjectKey) -> impl Iterator<Item = StackId> + 'a {
        self.having(key, |part| &part.own)
    }

    /// Who uses it.
    pub fn users<'a>(&'a self, key: &'a ObjectKey) -> impl Iterator<Item = StackId> + 'a {
        self.having(key, |part| &part.uses)
    }

    fn having<'a>(
        &'a self,
        key: &'a ObjectKey,
        of: impl Fn(&Part) -> &BTreeSet<ObjectKey> + 'a,
    ) -> impl Iterator<Item = StackId> + 'a {
        let parts = self.parts.iter();
        parts
            .filter(move |(_, part)| of(part).contains(key))
            .map(|(stack, _)| stack.clone())
    }
}

/// Tells what an Ingress uses.
pub struct UsesOf<'a> {
    classes: Classes<'a>,
    /// The Secrets that users of a Service sign in with, by its namespace and name.
    sign_in: BTreeMap<(&'a str, &'a str), ObjectKey>,
}

impl<'a> UsesOf<'a> {
    pub fn new(manifests: &'a Manifests) -> Self {
        let sign_in = manifests.services.iter().filter_map(|service| {
            let reference = &service.reference;
            let key = (reference.namespace.as_str(), reference.name.as_str());
            Some((key, secret(&reference.namespace, &service.options)?))
        });
        Self {
            classes: Classes::of(manifests),
            sign_in: sign_in.collect(),
        }
    }

    pub fn has_class(&self, name: &str) -> bool {
        self.classes.classes.contains_key(name)
    }

    pub fn has_params(&self, name: &str) -> bool {
        self.classes.params.contains_key(name)
    }

    pub fn add(&self, ingress: &Ingress, uses: &mut BTreeSet<ObjectKey>) {
        let namespace = ingress.namespace.as_str();
        uses.extend(self.classes.uses(ingress));
        uses.insert(key("", NAMESPACE, None, namespace));
        uses.extend(secret(namespace, &ingress.options));
        let names: BTreeSet<&str> = ingress.named_backends().map(|it| it.name).collect();
        for name in names {
            uses.insert(key("", SERVICE, Some(namespace), name));
            uses.extend(self.sign_in.get(&(namespace, name)).cloned());
        }
    }
}

/// The classes of git.
struct Classes<'a> {
    classes: BTreeMap<&'a str, &'a IngressClass>,
    params: BTreeMap<&'a str, &'a IngressClassParams>,
}

impl<'a> Classes<'a> {
    fn of(manifests: &'a Manifests) -> Self {
        let classes = manifests.classes.iter();
        let params = manifests.params.iter();
        Self {
            classes: classes.map(|class| (class.name.as_str(), class)).collect(),
            params: params
                .map(|params| (params.name.as_str(), &**params))
                .collect(),
        }
    }

    fn class(&self, ingress: &Ingress) -> Option<&'a IngressClass> {
        if ingress.class_annotation.is_some() {
            return None;
        }
        match &ingress.class_name {
            Some(name) => self.classes.get(name.value.as_str()).copied(),
            None => manifest::default_class(self.classes.values().copied())
                .filter(|class| class.controller == CONTROLLER),
        }
    }

    fn params(&self, class: &IngressClass) -> Option<&'a IngressClassParams> {
        let (_, _, name) = &class.parameters.as_ref()?.value;
        self.params.get(name.as_str()).copied()
    }

    /// The id of the group that an Ingress asks for: by its class's parameters, else by its annotation, else its own.
    fn group(&self, ingress: &Ingress) -> String {
        let params = self.class(ingress).and_then(|class| self.params(class));
        let of_params = params.and_then(|params| params.spec.group.as_ref());
        let name = match of_params {
            Some(group) => Some(&group.value),
            None => ingress.options.group.name.as_ref().and_then(Setting::good),
        };
        name.filter(|name| !name.is_empty())
            .cloned()
            .unwrap_or_else(|| ingress.key())
    }

    /// Its class with parameters; where it names none, all classes: any of them may become the default.
    fn uses(&self, ingress: &Ingress) -> Vec<ObjectKey> {
        if ingress.class_annotation.is_some() {
            return Vec::new();
        }
        match &ingress.class_name {
            Some(name) => {
                let mut uses = vec![class_key(&name.value)];
                let class = self.classes.get(name.value.as_str());
                let params = class.and_then(|class| class.parameters.as_ref());
                uses.extend(params.map(|params| params_key(&params.value.2)));
                uses
            }
            None => {
                let classes = self.classes.keys().map(|name| class_key(name));
                let named = self.classes.values();
                let named = named.filter_map(|class| Some(&*class.parameters.as_ref()?.value.2));
                classes
                    .chain(self.params.keys().copied().chain(named).map(params_key))
                    .collect()
            }
        }
    }
}

/// The Secret that users sign in with.
fn secret(namespace: &str, options: &IngressOptions) -> Option<ObjectKey> {
    let oidc = options.auth.idp_oidc.as_ref().and_then(Setting::good)?;
    (!oidc.secret_name.is_empty()).then(|| key("", SECRET, Some(namespace), &oidc.secret_name))
}

/// The object that a problem names as `Kind namespace/name`; `None`: of a kind that belongs to no part.
pub fn named(text: &str) -> Option<ObjectKey> {
    let (kind, rest) = text.split_once(' ')?;
    let (namespace, name) = rest.split_once('/')?;
    let group = match kind {
        INGRESS => NETWORKING,
        IAM_ACCOUNT => OURS,
        SERVICE | SECRET | SERVICE_ACCOUNT => "",
        _ => return None,
    };
    Some(key(group, kind, Some(namespace), name))
}

pub fn kind(key: &ObjectKey) -> &str {
    &key.kind
}

pub fn key(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

pub fn ingress_key(ingress: &Ingress) -> ObjectKey {
    key(NETWORKING, INGRESS, Some(&ingress.namespace), &ingress.name)
}

pub fn iam_key(account: &IamServiceAccount) -> ObjectKey {
    key(OURS, IAM_ACCOUNT, Some(&account.namespace), &account.name)
}

pub fn class_key(name: &str) -> ObjectKey {
    key(NETWORKING, CLASS, None, name)
}

pub fn params_key(name: &str) -> ObjectKey {
    key(ELBV2, PARAMS, None, name)
}
