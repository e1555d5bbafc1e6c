//! What the checks of effects look up among the documents, and what git does not tell.

use std::collections::BTreeMap;

use crate::manifest::{
    Ingress, Service,
    annotation::{Setting, value::Protocol},
    document::Typed,
    ingress::IngressClassParamsSpec,
    stored,
    validate::Whole,
};

/// The parameters of an Ingress's class.
#[derive(Clone, Copy)]
pub(super) enum Params<'a> {
    Known(Option<(&'a str, &'a IngressClassParamsSpec)>),
    /// Not in git.
    Unknown,
}

/// What the checks look up among the documents.
pub(super) struct Git<'a> {
    whole: &'a Whole<'a>,
    params: BTreeMap<&'a str, &'a IngressClassParamsSpec>,
    pub services: BTreeMap<(&'a str, &'a str), &'a Service>,
    /// By the annotation `group.name`.
    groups: BTreeMap<&'a str, Vec<&'a Ingress>>,
}

impl<'a> Git<'a> {
    pub fn new(whole: &'a Whole<'a>) -> Self {
        let mut git = Self {
            whole,
            params: BTreeMap::new(),
            services: whole.services(),
            groups: BTreeMap::new(),
        };
        for document in whole.documents {
            if let Typed::Params(params) = &document.typed {
                git.params.insert(&params.name, &params.spec);
            }
        }
        for (_, ingress) in whole.ingresses() {
            if let Some(name) = &ingress.options.group.name {
                git.groups.entry(&name.text).or_default().push(ingress);
            }
        }
        git
    }

    pub fn params(&self, ingress: &Ingress) -> Params<'a> {
        if ingress.class_annotation.is_some() {
            return Params::Known(None);
        }
        let class = match &ingress.class_name {
            Some(name) => self.whole.classes().find(|class| class.name == name.value),
            None => stored::default_class(self.whole.classes()),
        };
        let Some(class) = class else {
            return Params::Unknown;
        };
        let Some(parameters) = &class.parameters else {
            return Params::Known(None);
        };
        let name = parameters.value.2.as_str();
        match self.params.get_key_value(name) {
            Some((name, spec)) => Params::Known(Some((name, spec))),
            None => Params::Unknown,
        }
    }

    /// The name of its explicit group, `Some(None)` for a group of its own; none where git does not tell.
    pub fn group<'i>(&self, ingress: &'i Ingress) -> Option<Option<&'i str>> {
        match self.params(ingress) {
            Params::Unknown => None,
            Params::Known(Some((_, spec))) if spec.group.is_some() => None,
            Params::Known(_) => Some(
                ingress
                    .options
                    .group
                    .name
                    .as_ref()
                    .map(|name| name.text.as_str()),
            ),
        }
    }

    /// All members of its group; none where git does not tell.
    pub fn members(&self, ingress: &'a Ingress) -> Option<Vec<&'a Ingress>> {
        match self.group(ingress)? {
            None => Some(vec![ingress]),
            // Parameters of whatever class may bring more members.
            Some(_) if self.params.values().any(|spec| spec.group.is_some()) => None,
            Some(name) => self.groups.get(name).cloned(),
        }
    }
}

pub(super) fn good<T>(setting: Option<&Setting<T>>) -> Option<&T> {
    setting.and_then(Setting::good)
}

/// The ports that the Ingress listens on (ingress-model §4.1); none where git does not tell.
pub(super) fn ports(ingress: &Ingress, params: Params<'_>) -> Option<BTreeMap<u16, Protocol>> {
    let listener = &ingress.options.listener;
    if let Some(setting) = &listener.listen_ports {
        let ports = setting.good()?.iter();
        return Some(ports.map(|port| (port.port, port.protocol)).collect());
    }
    let Params::Known(params) = params else {
        return None;
    };
    // Whether a certificate is requested depends on a feature gate.
    if good(listener.create_acm_cert.as_ref()) == Some(&true) {
        return None;
    }
    let has_certificate = params.is_some_and(|(_, spec)| !spec.certificate_arns.is_empty())
        || good(listener.certificate_arns.as_ref()).is_some_and(|arns| !arns.is_empty());
    Some(if has_certificate {
        [(443, Protocol::Https)].into()
    } else {
        [(80, Protocol::Http)].into()
    })
}
