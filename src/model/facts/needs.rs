//! Which facts a commit's manifests need: what nobody asks for is not looked up.
//!
//! A little too much costs a call; too little is a problem that the manifests do not deserve. So a value that does not
//! follow its grammar needs nothing, and everything that might be asked for counts.

use std::collections::{BTreeMap, BTreeSet};

use super::{Facts, SecurityGroupFact};
use crate::{
    manifest::{
        self, Ingress, Manifests,
        annotation::{
            IngressOptions, Setting,
            options::{ForwardTo, RuleAction},
            value::{Protocol, Scheme, TargetType},
        },
        ingress::{CONTROLLER, IngressClassParams, IngressClassParamsSpec},
    },
    model::{glob, settings::Settings},
};

mod many;

/// What is to be looked up beside what every pass needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// ARN and issuer of the EKS cluster.
    pub eks: bool,
    /// Subnets, fit to choose from for balancers of these schemes.
    pub schemes: BTreeSet<Scheme>,
    /// Whether each subnet is public is told even where tags decide.
    pub routes: bool,
    /// The VPC's address ranges: targets outside of them are registered in another way.
    pub vpc_cidrs: bool,
    /// The endpoints of the Services: somebody's targets are pods.
    pub endpoints: bool,
    /// Subnets by id or name.
    pub subnets: BTreeSet<String>,
    /// Beside those of the nodes.
    pub security_groups: Selection,
    pub certificates: Option<CertificateNeeds>,
    pub web_acls: bool,
    pub trust_stores: bool,
    /// By name.
    pub target_groups: Selection,
    pub prefix_lists: bool,
    pub account_limits: bool,
    /// Labels of namespaces that git does not hold.
    pub namespaces: bool,
    /// IngressClassParams: a class of git names some that git does not hold.
    pub ingress_class_params: bool,
    /// `namespace/name` of Secrets that sign-in names, git's too: only the cluster tells which version of one it is.
    pub secrets: BTreeSet<String>,
}

/// Some of what there is, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Named(BTreeSet<String>),
    All,
}

impl Default for Selection {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl Selection {
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Named(names) if names.is_empty())
    }
}

/// What of a certificate takes calls of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateNeeds {
    pub authorities: bool,
    pub tags: bool,
}

impl Needs {
    /// Everything that can be looked up without knowing any manifests.
    pub fn everything(settings: &Settings) -> Self {
        Self {
            eks: true,
            schemes: [Scheme::Internal, Scheme::InternetFacing].into(),
            routes: true,
            vpc_cidrs: true,
            endpoints: true,
            subnets: BTreeSet::new(),
            security_groups: Selection::All,
            certificates: Some(CertificateNeeds {
                authorities: true,
                tags: settings.gates.enable_certificate_management,
            }),
            web_acls: true,
            trust_stores: true,
            target_groups: Selection::All,
            prefix_lists: true,
            account_limits: true,
            namespaces: true,
            ingress_class_params: false,
            secrets: BTreeSet::new(),
        }
    }

    pub fn of(manifests: &Manifests, settings: &Settings) -> Self {
        Self::with(manifests, &Facts::default(), settings)
    }

    /// The same once the cluster's classes, their parameters and Services were read: what those ask for is needed too,
    /// where git does not hold them.
    pub fn with(manifests: &Manifests, cluster: &Facts, settings: &Settings) -> Self {
        let params = params_by_class(manifests, cluster);
        let services = live_services(manifests, cluster);
        let is_ip = |options: &IngressOptions| {
            good(&options.target_group.target_type) == Some(&TargetType::Ip)
        };
        let of_params = params.values().filter_map(|it| it.target_type.as_ref());
        let live_pods = !manifests.ingresses.is_empty()
            && (services.values().any(|options| is_ip(options))
                || of_params.into_iter().any(|it| it.value == TargetType::Ip));
        let pods = live_pods || targets_pods(manifests, settings);
        let mut needs = Self {
            eks: !manifests.iam_service_accounts.is_empty(),
            vpc_cidrs: pods,
            endpoints: pods,
            account_limits: many::may_be(manifests, cluster),
            ingress_class_params: names_foreign_params(manifests),
            ..Self::default()
        };
        let default = default_class(manifests, cluster);
        for ingress in &manifests.ingresses {
            let class = ingress.class_name.as_ref().map(|name| name.value.as_str());
            let class = class.or(default);
            let params = class.and_then(|class| params.get(class)).copied();
            needs.ingress(ingress, params, manifests, settings);
        }
        for service in &manifests.services {
            let namespace = &service.reference.namespace;
            needs.sign_in(namespace, &service.options);
        }
        for (key, options) in services {
            if let Some((namespace, _)) = key.split_once('/') {
                needs.sign_in(namespace, options);
            }
        }
        needs
    }

    fn ingress(
        &mut self,
        ingress: &Ingress,
        params: Option<&IngressClassParamsSpec>,
        manifests: &Manifests,
        settings: &Settings,
    ) {
        let options = &ingress.options;
        let balancer = &options.load_balancer;
        let scheme = params
            .and_then(|params| params.scheme.as_ref())
            .map(|scheme| scheme.value)
            .or_else(|| good(&balancer.scheme).copied());
        self.schemes
            .insert(scheme.unwrap_or(settings.default_scheme));
        let nlb = &options.frontend_nlb;
        if good(&nlb.enable) == Some(&true) {
            let scheme = good(&nlb.scheme).copied();
            self.schemes.insert(scheme.unwrap_or(Scheme::Internal));
        }
        let lists = [&balancer.subnets, &nlb.subnets];
        self.subnets
            .extend(lists.into_iter().filter_map(good).flatten().cloned());
        let of_params = params
            .and_then(|params| params.subnets.as_ref())
            .and_then(|subnets| subnets.value.ids.as_ref());
        self.subnets
            .extend(of_params.into_iter().flatten().cloned());
        if let Selection::Named(groups) = &mut self.security_groups {
            let lists = [&balancer.security_groups, &nlb.security_groups];
            groups.extend(lists.into_iter().filter_map(good).flatten().cloned());
        }
        if discovers_certificates(options, params) {
            self.certificates = Some(CertificateNeeds {
                authorities: !settings.flags.allowed_certificate_authority_arns.is_empty(),
                tags: settings.gates.enable_certificate_management,
            });
        }
        let acl = params
            .and_then(|params| params.wafv2_acl_name.as_ref())
            .map(|name| &name.value)
            .filter(|name| !name.is_empty())
            .or_else(|| good(&options.add_on.wafv2_acl_name));
        self.web_acls |= acl.is_some_and(|name| !name.is_empty() && name != "none");
        self.trust_stores |= good(&options.listener.mutual_authentication)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|entry| entry.trust_store.as_ref())
            .any(|store| !store.starts_with("arn:"));
        if let Selection::Named(names) = &mut self.target_groups {
            names.extend(named_target_groups(options));
        }
        self.namespaces |= params.is_some_and(|params| params.namespace_selector.is_some())
            && !manifests.namespaces.contains_key(&ingress.namespace);
        self.sign_in(&ingress.namespace, options);
    }

    /// The Secret with the client's id and secret: of an Ingress or of a Service, always in its own namespace.
    fn sign_in(&mut self, namespace: &str, options: &IngressOptions) {
        if let Some(oidc) = good(&options.auth.idp_oidc)
            && !oidc.secret_name.is_empty()
        {
            self.secrets
                .insert(format!("{namespace}/{}", oidc.secret_name));
        }
    }

    /// Whether everything that the manifests name is among what was looked up for these needs: of a name that is missing, it
    /// may have come since. A security group's name may have wildcards, so all of it is known only where it was asked for.
    pub fn finds_all_names(&self, asked: &Needs, facts: &Facts) -> bool {
        let groups = facts.security_groups.as_deref().unwrap_or_default();
        let subnets = facts.subnets.as_deref().unwrap_or_default();
        let names = match &self.security_groups {
            Selection::Named(names) => names,
            Selection::All => return false,
        };
        let was_asked = |name: &String| match &asked.security_groups {
            Selection::Named(names) => names.contains(name),
            Selection::All => true,
        };
        let takes = |name: &str, group: &SecurityGroupFact| {
            let tag = group.tags.get(NAME_TAG);
            tag.is_some_and(|tag| glob::matches(name, tag))
        };
        let has_group = |name: &String| match is_group_id(name) {
            true => groups.iter().any(|group| group.id.as_str() == name),
            false => was_asked(name) && groups.iter().any(|group| takes(name, group)),
        };
        let has_subnet = |name: &String| {
            subnets
                .iter()
                .any(|subnet| subnet.id.as_str() == name || subnet.tags.get(NAME_TAG) == Some(name))
        };
        names.iter().all(has_group) && self.subnets.iter().all(has_subnet)
    }
}

/// The tag by which security groups and subnets are named.
pub const NAME_TAG: &str = "Name";

/// Whether a user's name of a security group is its id.
pub fn is_group_id(name: &str) -> bool {
    name.starts_with("sg-")
}

fn good<T>(setting: &Option<Setting<T>>) -> Option<&T> {
    setting.as_ref().and_then(Setting::good)
}

/// Whether a class of git has parameters that git does not hold.
fn names_foreign_params(manifests: &Manifests) -> bool {
    let classes = manifests.classes.iter();
    let mut names = classes
        .filter(|class| class.controller == CONTROLLER)
        .filter_map(|class| Some(&class.parameters.as_ref()?.value.2));
    names.any(|name| manifests.params.iter().all(|params| params.name != *name))
}

/// Of git and of the cluster, git first.
fn params_by_class<'a>(
    manifests: &'a Manifests,
    cluster: &'a Facts,
) -> BTreeMap<&'a str, &'a IngressClassParamsSpec> {
    let live = cluster.ingress_class_params.iter().flatten();
    let live = live.filter_map(|(name, fact)| Some((name.as_str(), &**fact.read.as_ref().ok()?)));
    let in_git = manifests.params.iter();
    let in_git = in_git.map(|params| (params.name.as_str(), &**params));
    let by_name: BTreeMap<&str, &IngressClassParams> = live.chain(in_git).collect();
    let live = cluster.ingress_classes.iter().flatten();
    let live = live.filter_map(|(class, fact)| {
        Some((class.as_str(), fact.parameters.as_ref()?.name.as_str()))
    });
    let in_git = manifests.classes.iter().filter_map(|class| {
        let (_, _, name) = &class.parameters.as_ref()?.value;
        Some((class.name.as_str(), name.as_str()))
    });
    live.chain(in_git)
        .filter_map(|(class, name)| Some((class, &by_name.get(name)?.spec)))
        .collect()
}

/// The class of Ingresses that name none.
fn default_class<'a>(manifests: &'a Manifests, cluster: &'a Facts) -> Option<&'a str> {
    let of_git = manifest::default_class(&manifests.classes);
    let mut live = cluster.ingress_classes.iter().flatten();
    of_git
        .map(|class| class.name.as_str())
        .or_else(|| Some(live.find(|(_, class)| class.is_default)?.0.as_str()))
}

/// What Services that git does not hold are annotated with, by `namespace/name`.
fn live_services<'a>(
    manifests: &Manifests,
    cluster: &'a Facts,
) -> BTreeMap<&'a str, &'a IngressOptions> {
    let services = cluster.services.as_deref().into_iter().flatten();
    let mut annotated: BTreeMap<&str, &IngressOptions> = services
        .filter_map(|(key, fact)| Some((key.as_str(), fact.annotations.options()?)))
        .collect();
    if !annotated.is_empty() {
        for service in &manifests.services {
            annotated.remove(service.reference.to_string().as_str());
        }
    }
    annotated
}

/// ingress-model §4.2: an HTTPS port, and nobody names a certificate.
fn discovers_certificates(
    options: &IngressOptions,
    params: Option<&IngressClassParamsSpec>,
) -> bool {
    let listener = &options.listener;
    let explicit = params.is_some_and(|params| !params.certificate_arns.is_empty())
        || good(&listener.certificate_arns).is_some_and(|arns| !arns.is_empty());
    let https = good(&listener.listen_ports)
        .is_some_and(|ports| ports.iter().any(|port| port.protocol == Protocol::Https));
    https && !explicit
}

/// The target groups that actions of an Ingress name.
pub fn named_target_groups(options: &IngressOptions) -> impl Iterator<Item = String> {
    options
        .rule
        .actions
        .values()
        .filter_map(Setting::good)
        .flat_map(|action| match action {
            RuleAction::Forward { targets, .. } => targets.as_slice(),
            _ => &[],
        })
        .filter_map(|target| match &target.to {
            ForwardTo::TargetGroupName(name) => Some(name.clone()),
            _ => None,
        })
}

/// Whether anything asks for target type ip.
fn targets_pods(manifests: &Manifests, settings: &Settings) -> bool {
    let is_ip =
        |options: &IngressOptions| good(&options.target_group.target_type) == Some(&TargetType::Ip);
    let of_classes = manifests
        .params
        .iter()
        .filter_map(|params| params.spec.target_type.as_ref());
    !manifests.ingresses.is_empty()
        && (settings.default_target_type == TargetType::Ip
            || manifests.ingresses.iter().any(|it| is_ip(&it.options))
            || manifests.services.iter().any(|it| is_ip(&it.options))
            || of_classes.into_iter().any(|it| it.value == TargetType::Ip))
}

#[cfg(test)]
mod tests;
