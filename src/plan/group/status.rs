//! The Ingresses' status: the balancer's DNS name once its rules are live (gitops G82, aws-deploy §6.1).

use std::collections::BTreeSet;

use crate::{
    id::ResourceId,
    model::{desired::Ref, object::LiveObject},
};

use super::{
    super::{
        diff::{difference, joined},
        draft::{Draft, because, object_id},
        op::{Action, Cause},
    },
    Group,
};

/// What an Ingress's status says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Published {
    hostname: Option<String>,
    ports: BTreeSet<u16>,
}

impl<'a> Group<'a> {
    /// Publishes the balancer on each member whose live status says something else.
    pub fn publish(&mut self, draft: &mut Draft<'a>) {
        let Some(desired) = self.desired else { return };
        let ports: BTreeSet<u16> = desired.listeners.keys().copied().collect();
        let hostname = self.load_balancer.map(|live| live.dns_name.to_lowercase());
        let wanted = Published {
            hostname: hostname.clone(),
            ports: ports.clone(),
        };
        for member in &desired.members {
            let seen = draft.inputs.observed.objects.get(&member.reference.key());
            let live = seen.and_then(|seen| seen.live.as_ref()).map(published);
            // Not looked at: only a balancer that is new says anything new.
            let unknown = seen.is_none() && self.load_balancer.is_some();
            if unknown || live.as_ref() == Some(&wanted) {
                continue;
            }
            let cause = match (&live, self.load_balancer) {
                (_, None) => Cause::Added,
                (Some(live), Some(_)) if live.hostname.is_some() => Cause::Drift,
                _ => Cause::Followed,
            };
            let text = |published: &Published| {
                let ports = joined(&published.ports);
                published
                    .hostname
                    .as_ref()
                    .map(|hostname| format!("{hostname}, ports {ports}"))
            };
            let difference = difference(
                "status",
                live.as_ref().and_then(text),
                text(&wanted).unwrap_or_else(|| "the new balancer's DNS name".to_owned()),
            );
            let mut id = object_id(&member.reference.key());
            id.stack = self.stack.clone();
            let action = Action::SetIngressStatus {
                reference: member.reference.clone(),
                load_balancer: match self.load_balancer {
                    Some(live) => Ref::Known(live.arn.clone()),
                    None => Ref::Output(ResourceId::load_balancer(self.id)),
                },
                hostname: hostname.clone(),
                ports: ports.iter().copied().collect(),
            };
            let reason = because(cause, Some(&member.origin), vec![difference]);
            let op = draft.op(&id, action, reason, self.built.iter().copied());
            self.taken.insert(op);
        }
    }
}

fn published(live: &LiveObject) -> Published {
    let first = &live.value["status"]["loadBalancer"]["ingress"][0];
    Published {
        hostname: first["hostname"].as_str().map(str::to_owned),
        ports: first["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| port["port"].as_u64())
            .filter_map(|port| u16::try_from(port).ok())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_ingress_without_status_publishes_nothing() {
        let live = |value: Value| LiveObject {
            reference: crate::id::ObjectRef {
                api_version: "networking.k8s.io/v1".to_owned(),
                kind: "Ingress".to_owned(),
                namespace: Some("a".to_owned()),
                name: "b".to_owned(),
            },
            uid: "u".to_owned(),
            resource_version: "1".to_owned(),
            value,
            managers: Vec::new(),
            deleting: false,
        };
        assert_eq!(published(&live(json!({}))), Published::default());
        let full = json!({"status": {"loadBalancer": {"ingress": [
            {"hostname": "x.elb", "ports": [{"port": 80, "protocol": "TCP"}]}]}}});
        let expected = Published {
            hostname: Some("x.elb".to_owned()),
            ports: BTreeSet::from([80]),
        };
        assert_eq!(published(&live(full)), expected);
    }
}
