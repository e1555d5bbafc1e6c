//! Listeners of both balancers, rules, and certificates that are requested.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    BALANCER_ID, CERTIFICATE, LISTENER, LOAD_BALANCER, List, NLB_ID, One, Ported, Reference,
    RuleId, Spec, TARGET_GROUP, Text,
    action::{Actions, Conditions, Transforms},
    reference, spec,
};
use crate::{
    manifest::annotation::{options::MutualMode, value::Protocol},
    model::{
        group::{
            Certificate, CertificateRequest, GroupModel, Listener, MutualAuthentication, Rule,
        },
        net::Tags,
    },
};

pub(super) struct All<'a>(pub &'a GroupModel);

impl Serialize for All<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (port, listener) in &self.0.listeners {
            map.serialize_entry(port, &spec(described(*port, listener)))?;
        }
        if let Some(nlb) = &self.0.frontend_nlb {
            for port in nlb.listeners.keys() {
                let target_group = format!("FrontendNlb-tg-TCP-{port}");
                map.serialize_entry(
                    &Text(format_args!("FrontendNlb-ls-TCP-{port}")),
                    &spec(NlbListener {
                        default_actions: [Forward {
                            forward: One(
                                "targetGroups",
                                [One(
                                    "targetGroupARN",
                                    reference(TARGET_GROUP, target_group, "targetGroupARN"),
                                )],
                            ),
                            kind: "forward",
                        }],
                        load_balancer: reference(LOAD_BALANCER, NLB_ID, "loadBalancerARN"),
                        port: *port,
                        protocol: "TCP",
                        tags: &nlb.tags,
                    }),
                )?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Forward<F> {
    #[serde(rename = "forwardConfig")]
    forward: F,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NlbListener<'a, A> {
    default_actions: A,
    #[serde(rename = "loadBalancerARN")]
    load_balancer: Reference<&'static str>,
    /// Go leaves out a zero.
    #[serde(skip_serializing_if = "is_zero")]
    port: i32,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'a Tags,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(port: &i32) -> bool {
    *port == 0
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    #[serde(skip_serializing_if = "Certificates::is_empty")]
    certificates: Certificates<'a>,
    default_actions: Actions<'a>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    listener_attributes: Attributes<'a>,
    #[serde(rename = "loadBalancerARN")]
    load_balancer: Reference<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutual_authentication: Option<Mutual<'a>>,
    port: u16,
    protocol: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl_policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'a Tags,
}

fn described(port: u16, listener: &Listener) -> Described<'_> {
    Described {
        certificates: Certificates(&listener.certificates),
        default_actions: Actions(&listener.default_actions),
        listener_attributes: Attributes(&listener.attributes),
        load_balancer: reference(LOAD_BALANCER, BALANCER_ID, "loadBalancerARN"),
        mutual_authentication: listener.mutual_authentication.as_ref().map(mutual),
        port,
        protocol: listener.protocol,
        ssl_policy: listener.ssl_policy.as_deref(),
        tags: &listener.tags,
    }
}

struct Certificates<'a>(&'a [Certificate]);

impl Certificates<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Certificates<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let each = self.0.iter().map(|it| One("certificateARN", Arn(it)));
        List(each).serialize(serializer)
    }
}

/// LBC writes a reference without a target for a certificate that exists; here it is the ARN.
struct Arn<'a>(&'a Certificate);

impl Serialize for Arn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Certificate::Arn(arn) => serializer.serialize_str(arn),
            Certificate::Requested(id) => {
                reference(CERTIFICATE, id, "certificateARN").serialize(serializer)
            }
        }
    }
}

/// Of listeners, whose keys LBC writes in upper case.
struct Attributes<'a>(&'a Tags);

impl Attributes<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Pair<'a> {
            key: &'a str,
            value: &'a str,
        }
        List(self.0.iter().map(|(key, value)| Pair { key, value })).serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mutual<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise_trust_store_ca_names: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ignore_client_certificate_expiry: Option<bool>,
    mode: MutualMode,
    trust_store_arn: &'a str,
}

fn mutual(mutual: &MutualAuthentication) -> Mutual<'_> {
    Mutual {
        advertise_trust_store_ca_names: mutual.advertise_trust_store_ca_names.as_deref(),
        ignore_client_certificate_expiry: mutual.ignore_client_certificate_expiry,
        mode: mutual.mode,
        trust_store_arn: &mutual.trust_store_arn,
    }
}

/// All rules of all listeners, numbered for each.
pub(super) fn rules(group: &GroupModel) -> impl Iterator<Item = (RuleId, Spec<Ruled<'_>>)> + Clone {
    group
        .listeners
        .iter()
        .flat_map(|(port, listener): Ported<'_>| {
            let rules = listener.rules.iter().zip(1..);
            rules.map(move |(rule, number)| {
                let id = RuleId {
                    port: *port,
                    number,
                };
                (id, spec(ruled(*port, number, rule)))
            })
        })
}

#[derive(Serialize)]
pub(super) struct Ruled<'a> {
    actions: Actions<'a>,
    conditions: Conditions<'a>,
    #[serde(rename = "listenerARN")]
    listener: Reference<u16>,
    priority: usize,
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'a Tags,
    #[serde(skip_serializing_if = "Transforms::is_empty")]
    transforms: Transforms<'a>,
}

fn ruled(port: u16, number: usize, rule: &Rule) -> Ruled<'_> {
    Ruled {
        actions: Actions(&rule.actions),
        conditions: Conditions(&rule.conditions),
        listener: reference(LISTENER, port, "listenerARN"),
        priority: number,
        tags: &rule.tags,
        transforms: Transforms(&rule.transforms),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(
        rename = "certificateAuthorityARN",
        skip_serializing_if = "Option::is_none"
    )]
    certificate_authority_arn: Option<&'a str>,
    domain_name: &'a str,
    subject_alternative_names: &'a [String],
    #[serde(skip_serializing_if = "Tags::is_empty")]
    tags: &'a Tags,
    #[serde(rename = "type")]
    kind: &'static str,
    validation_method: &'static str,
}

pub(super) fn request(request: &CertificateRequest) -> Request<'_> {
    Request {
        certificate_authority_arn: request.certificate_authority_arn.as_deref(),
        domain_name: &request.domain_name,
        subject_alternative_names: &request.subject_alternative_names,
        tags: &request.tags,
        kind: match request.certificate_authority_arn {
            Some(_) => "PRIVATE",
            None => "AMAZON_ISSUED",
        },
        validation_method: "DNS",
    }
}
