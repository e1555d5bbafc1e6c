//! A group's model in the JSON shape that LBC logs (ingress-model §11, §15.3–15.6): the form in which the two are compared.
//!
//! Nothing is copied: the model is written out as it is read. What is unset, empty lists and empty maps are left out;
//! texts that are set and empty stay. Rules are numbered 1, 2, 3 … for each listener.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    sync::Arc,
};

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use super::{
    group::{GroupModel, Listener, SecurityGroupRef},
    net::Tags,
};

mod action;
mod listener;
mod load_balancer;
mod target_group;

/// Stands for what the cluster or the account says only after the first apply.
pub const LATER: &str = "known after apply";

const SECURITY_GROUP: &str = "AWS::EC2::SecurityGroup";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const LISTENER_RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
const CERTIFICATE: &str = "AWS::ACM::Certificate";

/// Resource ids that every group has.
const BALANCER_ID: &str = "LoadBalancer";
const MANAGED_GROUP_ID: &str = "ManagedLBSecurityGroup";
const NLB_ID: &str = "FrontendNlb";

/// One group, ready to be written: `{"id", "resources": {TYPE: {ID: {"spec"}}}}`.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    pub id: &'a str,
    pub group: &'a GroupModel,
}

impl Serialize for Model<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("resources", &Resources(self.group))?;
        map.end()
    }
}

/// All groups by their ids.
#[derive(Clone, Copy, Debug)]
pub struct Models<'a>(pub &'a BTreeMap<String, Arc<GroupModel>>);

impl Serialize for Models<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, group) in self.0 {
            map.serialize_entry(id, &Model { id, group })?;
        }
        map.end()
    }
}

/// Types in the order of their names; those without resources are left out.
struct Resources<'a>(&'a GroupModel);

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let group = self.0;
        let add_ons = &group.add_ons;
        let balancer = reference(LOAD_BALANCER, BALANCER_ID, "loadBalancerARN");
        let mut map = serializer.serialize_map(None)?;
        if !group.certificates.is_empty() {
            let requests = group.certificates.iter();
            map.serialize_entry(
                CERTIFICATE,
                &Entries(requests.map(|(id, request)| (id, spec(listener::request(request))))),
            )?;
        }
        if let Some(managed) = &group.security_group {
            let managed = spec(load_balancer::security_group(managed));
            map.serialize_entry(SECURITY_GROUP, &One(MANAGED_GROUP_ID, managed))?;
        }
        if !group.listeners.is_empty() || has_nlb_listeners(group) {
            map.serialize_entry(LISTENER, &listener::All(group))?;
        }
        if group
            .listeners
            .values()
            .any(|listener| !listener.rules.is_empty())
        {
            map.serialize_entry(LISTENER_RULE, &Entries(listener::rules(group)))?;
        }
        map.serialize_entry(LOAD_BALANCER, &load_balancer::All(group))?;
        if !group.target_groups.is_empty() || has_nlb_listeners(group) {
            map.serialize_entry(TARGET_GROUP, &target_group::All(group))?;
        }
        if let Some(enabled) = add_ons.shield_protection {
            let protection = Protection {
                enabled,
                resource: &balancer,
            };
            map.serialize_entry(
                "AWS::Shield::Protection",
                &One(BALANCER_ID, spec(protection)),
            )?;
        }
        if let Some(id) = &add_ons.waf_acl_id {
            let classic = ClassicAcl {
                resource: &balancer,
                id,
            };
            let one = One(BALANCER_ID, spec(classic));
            map.serialize_entry("AWS::WAFRegional::WebACLAssociation", &one)?;
        }
        if let Some(arn) = &add_ons.wafv2_acl_arn {
            let acl = Acl {
                resource: &balancer,
                arn,
            };
            map.serialize_entry(
                "AWS::WAFv2::WebACLAssociation",
                &One(BALANCER_ID, spec(acl)),
            )?;
        }
        let bookkeeping = target_group::Bookkeeping(group);
        map.serialize_entry(
            "FrontendNLBTargetGroup",
            &One("FrontendNLBTargetGroup", bookkeeping),
        )?;
        if !group.target_groups.is_empty() {
            let bindings = group.target_groups.iter();
            map.serialize_entry(
                "K8S::ElasticLoadBalancingV2::TargetGroupBinding",
                &Entries(
                    bindings.map(|(id, target_group)| {
                        (id, spec(target_group::binding(id, target_group)))
                    }),
                ),
            )?;
        }
        map.end()
    }
}

fn has_nlb_listeners(group: &GroupModel) -> bool {
    let nlb = group.frontend_nlb.as_ref();
    nlb.is_some_and(|nlb| !nlb.listeners.is_empty())
}

#[derive(Serialize)]
struct Protection<R> {
    enabled: bool,
    #[serde(rename = "resourceARN")]
    resource: R,
}

#[derive(Serialize)]
struct ClassicAcl<'a, R> {
    #[serde(rename = "resourceARN")]
    resource: R,
    #[serde(rename = "webACLID")]
    id: &'a str,
}

#[derive(Serialize)]
struct Acl<'a, R> {
    #[serde(rename = "resourceARN")]
    resource: R,
    #[serde(rename = "webACLARN")]
    arn: &'a str,
}

/// `{"spec": …}`.
#[derive(Serialize)]
struct Spec<T> {
    spec: T,
}

fn spec<T>(spec: T) -> Spec<T> {
    Spec { spec }
}

/// A map of one entry.
struct One<K, V>(K, V);

impl<K: Serialize, V: Serialize> Serialize for One<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.0, &self.1)?;
        map.end()
    }
}

/// Pairs as a map.
struct Entries<I>(I);

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)> + Clone> Serialize for Entries<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.clone())
    }
}

/// Items as a list.
struct List<I>(I);

impl<T: Serialize, I: Iterator<Item = T> + Clone> Serialize for List<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for item in self.0.clone() {
            list.serialize_element(&item)?;
        }
        list.end()
    }
}

/// What it displays as, written without a text in between.
struct Text<D>(D);

impl<D: Display> Serialize for Text<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// `{"$ref": "#/resources/TYPE/ID/status/FIELD"}`: an output of another resource of the group.
struct Reference<D> {
    kind: &'static str,
    id: D,
    field: &'static str,
}

fn reference<D>(kind: &'static str, id: D, field: &'static str) -> Reference<D> {
    Reference { kind, id, field }
}

impl<D: Display> Display for Reference<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, field } = self;
        write!(f, "#/resources/{kind}/{id}/status/{field}")
    }
}

impl<D: Display> Serialize for Reference<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        One("$ref", Text(self)).serialize(serializer)
    }
}

/// A value that may be known only later.
struct Or<'a, T>(&'a Option<T>);

impl<T: Serialize> Serialize for Or<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(LATER),
        }
    }
}

/// A security group where LBC writes one: a reference to the group's own, else an id.
struct Group<'a>(&'a SecurityGroupRef);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            SecurityGroupRef::Managed => {
                reference(SECURITY_GROUP, MANAGED_GROUP_ID, "groupID").serialize(serializer)
            }
            SecurityGroupRef::Backend(id) => Or(id).serialize(serializer),
            SecurityGroupRef::Id(id) => id.serialize(serializer),
        }
    }
}

/// Attributes as a list of pairs.
struct Attributes<'a>(&'a Tags);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Pair<'a> {
            key: &'a str,
            value: &'a str,
        }
        List(self.0.iter().map(|(key, value)| Pair { key, value })).serialize(serializer)
    }
}

impl Attributes<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The id of a rule: its listener's port and its number.
struct RuleId {
    port: u16,
    number: usize,
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.port, self.number))
    }
}

/// A listener with its port.
type Ported<'a> = (&'a u16, &'a Listener);

#[cfg(test)]
mod tests;
