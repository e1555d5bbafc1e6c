//! What the checks of effects look up among the documents, and what git does not tell.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use crate::manifest::{
    Ingress, IngressClass, Manifests,
    annotation::{
        Setting,
        value::{Protocol, TargetType},
    },
    document::Typed,
    ingress::IngressClassParamsSpec,
    stored,
    watchers::{Topic, Watchers},
};

/// The parameters of an Ingress's class.
#[derive(Clone, Copy)]
pub(super) enum Params<'a> {
    Known(Option<(&'a str, &'a IngressClassParamsSpec)>),
    /// Not in git.
    Unknown,
}

/// What the parameters of an Ingress's class say of its type of targets.
#[derive(Clone, Copy)]
pub(in crate::manifest::validate) enum ByClass {
    /// It wins over annotations.
    Set(TargetType),
    Unset,
    /// The class names parameters that git does not hold: left to the builders.
    Elsewhere,
}

/// What the checks look up among the documents.
pub(in crate::manifest::validate) struct Git<'a> {
    /// Of several with one name, the first.
    classes: BTreeMap<&'a str, &'a IngressClass>,
    default_class: Option<&'a IngressClass>,
    params: BTreeMap<&'a str, &'a IngressClassParamsSpec>,
    /// Parameters of some class name a group.
    params_name_groups: bool,
    watchers: &'a Watchers,
    /// By the annotation `group.name`, as far as somebody asked.
    groups: RefCell<HashMap<String, Said>>,
}

/// What some member of a group says for all. Bad values count as said: what is wrong with them is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub frontend_nlb: bool,
    pub security_groups: bool,
    pub acl_name: bool,
}

impl Said {
    pub fn of(ingress: &Ingress) -> Self {
        let mut said = Self::default();
        said.add(ingress);
        said
    }

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
    pub fn new(manifests: &'a Manifests, watchers: &'a Watchers) -> Self {
        let mut classes = BTreeMap::new();
        for class in &manifests.classes {
            classes.entry(class.name.as_str()).or_insert(class);
        }
        let params = manifests.params.iter();
        let params: BTreeMap<_, _> = params
            .map(|params| (params.name.as_str(), &params.spec))
            .collect();
        Self {
            classes,
            default_class: stored::default_class(&manifests.classes),
            params_name_groups: params.values().any(|spec| spec.group.is_some()),
            params,
            watchers,
            groups: RefCell::default(),
        }
    }

    pub(super) fn params(&self, ingress: &Ingress) -> Params<'a> {
        if ingress.class_annotation.is_some() {
            return Params::Known(None);
        }
        let Some(class) = self.class(ingress) else {
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

    /// A class that git does not hold counts as one without parameters: who waits for his class waits with what is found.
    pub fn by_class(&self, ingress: &Ingress) -> ByClass {
        match self.params(ingress) {
            Params::Known(Some((_, spec))) => match &spec.target_type {
                Some(target_type) => ByClass::Set(target_type.value),
                None => ByClass::Unset,
            },
            Params::Known(None) => ByClass::Unset,
            Params::Unknown if self.class(ingress).is_none() => ByClass::Unset,
            Params::Unknown => ByClass::Elsewhere,
        }
    }

    fn class(&self, ingress: &Ingress) -> Option<&'a IngressClass> {
        match &ingress.class_name {
            Some(name) => self.classes.get(name.value.as_str()).copied(),
            None => self.default_class,
        }
    }

    /// The name of its explicit group, `Some(None)` for a group of its own; none where git does not tell.
    pub(super) fn group<'i>(&self, ingress: &'i Ingress) -> Option<Option<&'i str>> {
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
    pub(super) fn said(&self, ingress: &Ingress) -> Option<Said> {
        match self.group(ingress)? {
            None => Some(Said::of(ingress)),
            // Parameters of whatever class may bring more members.
            Some(_) if self.params_name_groups => None,
            Some(name) => Some(self.members_say(name)),
        }
    }

    fn members_say(&self, group: &str) -> Said {
        if let Some(said) = self.groups.borrow().get(group) {
            return *said;
        }
        let mut said = Said::default();
        for document in self.watchers.of(Topic::Group(group)) {
            if let Typed::Ingress(ingress, _) = &document.typed
                && let Some(name) = &ingress.options.group.name
                && name.text == group
            {
                said.add(ingress);
            }
        }
        self.groups.borrow_mut().insert(group.to_owned(), said);
        said
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
