//! Listeners with their certificates (ingress-model §4.7).

use std::collections::BTreeSet;

use super::{super::Wait, Lower};
use crate::{
    id::Arn,
    manifest::annotation::{options::MutualMode, value::Protocol},
    model::{
        elb::{ListenerSpec, MutualAuthentication, TlsSpec},
        group::{self, Certificate},
    },
};

impl Lower<'_> {
    pub(super) fn listener(
        &self,
        port: u16,
        model: &group::Listener,
    ) -> Result<ListenerSpec, Wait> {
        Ok(ListenerSpec {
            port,
            protocol: model.protocol.as_str().to_owned(),
            default_actions: self.actions(&model.default_actions, &model.origin)?,
            tls: match model.protocol {
                Protocol::Http => None,
                Protocol::Https => Some(self.tls(port, model)?),
            },
            attributes: model.attributes.clone(),
            tags: self.tags(&model.tags, Some(&port.to_string())),
        })
    }

    fn tls(&self, port: u16, model: &group::Listener) -> Result<TlsSpec, Wait> {
        let mut arns = model
            .certificates
            .iter()
            .filter_map(|certificate| match certificate {
                Certificate::Arn(arn) => Some(Arn::new(arn.as_str())),
                // Holds the group, see `unserved`.
                Certificate::Requested(_) => None,
            });
        let Some(default_certificate) = arns.next() else {
            return Err(Wait::new(
                &model.origin,
                format!("the HTTPS listener on port {port} has no certificate"),
            ));
        };
        let mut certificates: BTreeSet<Arn> = arns.collect();
        certificates.remove(&default_certificate);
        Ok(TlsSpec {
            default_certificate,
            certificates,
            ssl_policy: model.ssl_policy.clone().filter(|policy| !policy.is_empty()),
            mutual_authentication: match &model.mutual_authentication {
                Some(mutual) => Some(MutualAuthentication {
                    mode: mutual.mode,
                    trust_store: Some(&mutual.trust_store_arn)
                        .filter(|arn| !arn.is_empty())
                        .map(|arn| Arn::new(arn.as_str())),
                    ignore_client_certificate_expiry: mutual.ignore_client_certificate_expiry,
                    advertise_trust_store_ca_names: mutual.advertise_trust_store_ca_names.clone(),
                }),
                // Left as it is in AWS, unless the gate wants it off again (aws-deploy §2.2).
                None => self
                    .looks
                    .settings
                    .gates
                    .enhanced_default_behavior
                    .then(off),
            },
        })
    }
}

fn off() -> MutualAuthentication {
    MutualAuthentication {
        mode: MutualMode::Off,
        trust_store: None,
        ignore_client_certificate_expiry: None,
        advertise_trust_store_ca_names: None,
    }
}
