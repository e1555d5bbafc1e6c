//! What the checks of effects look up among the documents, and what git does not tell.

use std::collections::{BTreeMap, HashMap};

use crate::manifest::{
    Ingress, IngressClass, Service,
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
    /// Of several with one name, the first.
    classes: BTreeMap<&'a str, &'a IngressClass>,
    default_class: Option<&'a IngressClass>,
    params: BTreeMap<&'a str, &'a IngressClassParamsSpec>,
    /// Parameters of some class name a group.
    params_name_groups: bool,
    pub services: &'a HashMap<(&'a str, &'a str), &'a Service>,
    /// By the annotation `group.name`.
    groups: HashMap<&'a str, Said>,
}

/// What some member of a group says for all. Bad values count as said: what is wrong with them is told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    pub frontend_nlb: bool,
    pub security_groups: bool,
    pub acl_name: bool,
}

impl Said {
    fn add(&mut self, ingress: &Ingress) {
        let options = &ingress.options;
        let nlb = options.frontend_nlb.enable.as_ref();
        self.frontend_nlb |= nlb.is_some_and(|setting| setting.good() != Some(&false));
        let groups = good(options.load_balancer.security_groups.as_ref());
        self.security_groups |= groups.is_some_and(|groups| !groups.is_empty());
        let name = good(options.add_on.wafv2_acl_name.as_ref());
        self.acl_name |= name.is_some_and(|name| !name.is_empty());
    }
}

impl<'a> Git<'a> {
    pub fn new(whole: &'a Whole<'a>) -> Self {
        let mut classes = BTreeMap::new();
        for class in whole.classes() {
            classes.entry(class.name.as_str()).or_insert(class);
        }
        let mut git = Self {
            classes,
            default_class: stored::default_class(whole.classes()),
            params: BTreeMap::new(),
            params_name_groups: false,
            services: &whole.services,
            groups: HashMap::new(),
        };
        for document in whole.documents {
            if let Typed::Params(params) = &document.typed {
                git.params.insert(&params.name, &params.spec);
            }
        }
        git.params_name_groups = git.params.values().any(|spec| spec.group.is_some());
        for (_, ingress) in whole.ingresses() {
            if let Some(name) = &ingress.options.group.name {
                git.groups.entry(&name.text).or_default().add(ingress);
            }
        }
        git
    }

    pub fn params(&self, ingress: &Ingress) -> Params<'a> {
        if ingress.class_annotation.is_some() {
            return Params::Known(None);
        }
        let class = match &ingress.class_name {
            Some(name) => self.classes.get(name.value.as_str()).copied(),
            None => self.default_class,
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

    /// What its group's members say; none where git does not tell.
    pub fn said(&self, ingress: &Ingress) -> Option<Said> {
        match self.group(ingress)? {
            None => {
                let mut said = Said::default();
                said.add(ingress);
                Some(said)
            }
            // Parameters of whatever class may bring more members.
            Some(_) if self.params_name_groups => None,
            Some(name) => self.groups.get(name).copied(),
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
