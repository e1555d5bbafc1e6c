//! Group ids and the names of what is created, by LBC's formulas (ingress-model §3.1, §6.2).
//!
//! Names matter at creation only: what exists is found by its tags. All the same they must be LBC's, so that a take-over
//! changes nothing.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

use crate::{
    manifest::{ServiceRef, ingress::PortRef},
    model::{
        digest::hex,
        elb::{Scheme, TargetType},
    },
};

/// The longest name of a balancer or target group.
const MAX_NAME: usize = 32;
/// Hex digits of a hash that a name carries.
const HASH_LENGTH: usize = 10;

/// Bytes of the balancer's name that the frontend NLB's keeps.
const NLB_NAME_KEEPS: usize = 28;

/// Which balancer an Ingress belongs to (ingress-model §1.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupId {
    /// One Ingress that has its balancer for itself.
    Implicit { namespace: String, name: String },
    /// Named by `group.name`; members come from any namespace.
    Explicit(String),
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implicit { namespace, name } => write!(f, "{namespace}/{name}"),
            Self::Explicit(name) => f.write_str(name),
        }
    }
}

impl GroupId {
    /// The scheme is in the hash: a changed scheme needs a new balancer, whose name must not be the old one's.
    pub fn load_balancer_name(&self, cluster: &str, scheme: Scheme) -> String {
        self.with_hash(&hash(&[cluster, &self.to_string(), scheme.as_str()]))
    }

    /// The frontend NLB's: from the balancer's name, cut without tidying; from a hash where that is explicitly empty
    /// (ingress-model §3.1, §15.5).
    pub fn nlb_name(&self, cluster: &str, scheme: Scheme, balancer: &str) -> String {
        if !balancer.is_empty() {
            let kept = balancer.len().min(NLB_NAME_KEEPS);
            let kept = balancer.as_bytes().get(..kept).unwrap_or_default();
            return format!("{}-nlb", lossy(kept));
        }
        let hash = hash(&[cluster, &self.to_string(), scheme.as_str()]);
        match self {
            Self::Implicit { namespace, name } => format!(
                "k8s-{}-{}-{}-nlb",
                cut(8, namespace),
                cut(8, name),
                cut(6, &hash)
            ),
            Self::Explicit(name) => format!("k8s-{}-{}-nlb", cut(16, name), cut(8, &hash)),
        }
    }

    /// The target group behind one port of the frontend NLB.
    pub fn nlb_target_group_name(
        &self,
        cluster: &str,
        port: i32,
        health_check_port: &str,
        health_check_protocol: &str,
    ) -> String {
        self.with_hash(&hash(&[
            cluster,
            &self.to_string(),
            &port.to_string(),
            "alb",
            "TCP",
            health_check_port,
            health_check_protocol,
        ]))
    }

    pub fn security_group_name(&self, cluster: &str) -> String {
        self.with_hash(&hash(&[cluster, &self.to_string()]))
    }

    fn with_hash(&self, hash: &str) -> String {
        match self {
            Self::Implicit { namespace, name } => {
                format!("k8s-{}-{}-{hash}", cut(8, namespace), cut(8, name))
            }
            Self::Explicit(name) => format!("k8s-{}-{hash}", cut(17, name)),
        }
    }
}

/// Name of the security group that all balancers of a cluster share.
pub fn backend_security_group_name(cluster: &str) -> String {
    format!("k8s-traffic-{}-{}", cut(232, cluster), hash(&[cluster]))
}

/// Everything that enters a target group's name.
#[derive(Clone, Copy, Debug)]
pub struct TargetGroupKey<'a> {
    pub cluster: &'a str,
    pub group: &'a GroupId,
    /// Namespace and name of the Ingress.
    pub ingress: (&'a str, &'a str),
    pub service: &'a ServiceRef,
    pub service_uid: &'a str,
    /// As the backend spells it.
    pub service_port: &'a PortRef,
    pub port: i32,
    pub target_type: TargetType,
    pub protocol: &'a str,
    pub protocol_version: &'a str,
    pub control_port: Option<i32>,
}

impl TargetGroupKey<'_> {
    /// The identity, `namespace/ingress-service:port`: tag `ingress.k8s.aws/resource`.
    pub fn id(&self) -> String {
        let (namespace, ingress) = self.ingress;
        format!(
            "{namespace}/{ingress}-{}:{}",
            self.service.name, self.service_port
        )
    }

    pub fn name(&self) -> String {
        let mut hash = Hash::default();
        let (namespace, ingress) = self.ingress;
        // Nothing can fail: the hash takes every text.
        let _ = write!(
            hash,
            "{}{}{namespace}{ingress}{}{}{}{}{}{}",
            self.cluster,
            self.group,
            self.service_uid,
            self.service_port,
            self.port,
            self.target_type.as_str(),
            self.protocol,
            self.protocol_version,
        );
        if let Some(port) = self.control_port {
            let _ = write!(hash, "{port}");
        }
        let mut name = String::with_capacity(MAX_NAME);
        name.push_str("k8s-");
        name.extend(letters(8, &self.service.namespace));
        name.push('-');
        name.extend(letters(8, &self.service.name));
        name.push('-');
        name.push_str(&hash.finish());
        name
    }
}

/// SHA-256 of what is written to it, without anything in between.
#[derive(Default)]
struct Hash(Sha256);

impl fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl Hash {
    /// The first digits.
    fn finish(self) -> String {
        let mut text = hex(&self.0.finalize());
        text.truncate(HASH_LENGTH);
        text
    }
}

/// First digits of the SHA-256 over the parts without anything between them.
fn hash(parts: &[&str]) -> String {
    let mut hash = Hash::default();
    for part in parts {
        hash.0.update(part.as_bytes());
    }
    hash.finish()
}

/// As Go's JSON writes bytes: one U+FFFD for each that is no part of a whole character.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The first `length` ASCII letters and digits; all else is left out.
fn cut(length: usize, text: &str) -> String {
    letters(length, text).collect()
}

fn letters(length: usize, text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn implicit(namespace: &str, name: &str) -> GroupId {
        GroupId::Implicit {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn names_are_those_that_others_published() {
        // ingress-model §12.1
        assert_eq!(
            implicit("ui", "ui").load_balancer_name("eks-workshop", Scheme::InternetFacing),
            "k8s-ui-ui-5ddc3ba496"
        );
        assert_eq!(
            GroupId::Explicit("retail-app-group".into())
                .load_balancer_name("eks-workshop", Scheme::InternetFacing),
            "k8s-retailappgroup-085b071a94"
        );
        assert_eq!(
            implicit("default", "ingress").security_group_name("cluster"),
            "k8s-default-ingress-05be0614e6"
        );
        assert_eq!(
            implicit("default", "bookreview-ingress").security_group_name("bookreview-cluster"),
            "k8s-default-bookrevi-af6f53a2c0"
        );
        assert_eq!(
            backend_security_group_name("tfm-app-eks"),
            "k8s-traffic-tfmappeks-7dd757b3ae"
        );
    }

    #[test]
    fn balancer_names_follow_scheme_and_group() {
        // ingress-model §12.2
        let implicit = implicit("default", "app-aws-ingress");
        assert_eq!(
            implicit.load_balancer_name("mz-k8s", Scheme::Internal),
            "k8s-default-appawsin-ccf9862bb7"
        );
        let explicit = GroupId::Explicit("team-a.shared-edge.prod".into());
        assert_eq!(
            explicit.load_balancer_name("mz-k8s", Scheme::Internal),
            "k8s-teamasharededgepr-a39c37adcc"
        );
        assert_eq!(
            explicit.security_group_name("mz-k8s"),
            "k8s-teamasharededgepr-98aa6b36ad"
        );
    }

    #[test]
    fn target_group_names_follow_all_that_makes_a_target_group() {
        // ingress-model §12, §12.2
        let group = implicit("default", "app-aws-ingress");
        let explicit = GroupId::Explicit("team-a.shared-edge.prod".into());
        let service = ServiceRef {
            namespace: "default".into(),
            name: "app1".into(),
        };
        let by_number = PortRef::Number(80);
        let by_name = PortRef::Name("http".into());
        let base = TargetGroupKey {
            cluster: "mz-k8s",
            group: &group,
            ingress: ("default", "app-aws-ingress"),
            service: &service,
            service_uid: "11111111-1111-4111-8111-111111111111",
            service_port: &by_number,
            port: 32672,
            target_type: TargetType::Instance,
            protocol: "HTTP",
            protocol_version: "HTTP1",
            control_port: None,
        };
        let ip = TargetGroupKey {
            target_type: TargetType::Ip,
            port: 8080,
            ..base
        };
        for (key, name) in [
            (base, "k8s-default-app1-b86462c552"),
            (
                TargetGroupKey { port: 1, ..ip },
                "k8s-default-app1-9df93cc558",
            ),
            (
                TargetGroupKey {
                    protocol_version: "GRPC",
                    ..ip
                },
                "k8s-default-app1-cf29818d23",
            ),
            (
                TargetGroupKey {
                    control_port: Some(3000),
                    ..ip
                },
                "k8s-default-app1-09da4c382c",
            ),
            (
                TargetGroupKey {
                    service_port: &by_name,
                    ..base
                },
                "k8s-default-app1-10664de42e",
            ),
            (
                TargetGroupKey {
                    group: &explicit,
                    ..base
                },
                "k8s-default-app1-24f210ba73",
            ),
        ] {
            assert_eq!(key.name(), name, "{key:?}");
        }
        assert_eq!(base.id(), "default/app-aws-ingress-app1:80");
        let by_name = TargetGroupKey {
            service_port: &by_name,
            ..base
        };
        assert_eq!(by_name.id(), "default/app-aws-ingress-app1:http");
    }

    #[test]
    fn names_of_the_frontend_nlb_follow_the_balancer() {
        // ingress-model §12.2, §15.5
        let group = implicit("default", "app-aws-ingress");
        let of = |balancer: &str| group.nlb_name("mz-k8s", Scheme::InternetFacing, balancer);
        assert_eq!(
            of("k8s-default-appawsin-d61ace8b4a"),
            "k8s-default-appawsin-d61ace8-nlb"
        );
        assert_eq!(of("mine"), "mine-nlb");
        // Cut after the first, the second and the third byte of a character, and behind a whole one.
        for (letters, rest, kept) in [
            (27, "€", "\u{fffd}"),
            (26, "€", "\u{fffd}\u{fffd}"),
            (25, "🦀", "\u{fffd}\u{fffd}\u{fffd}"),
            (25, "€b", "€"),
        ] {
            let letters = "a".repeat(letters);
            let name = of(&format!("{letters}{rest}"));
            assert_eq!(name, format!("{letters}{kept}-nlb"));
        }
        assert_eq!(of(""), "k8s-default-appawsin-d61ace-nlb");
        let explicit = GroupId::Explicit("team-a.shared-edge.prod".into());
        assert_eq!(
            explicit.nlb_name("mz-k8s", Scheme::Internal, ""),
            "k8s-teamasharededgep-a39c37ad-nlb"
        );
        assert_eq!(
            group.nlb_target_group_name("mz-k8s", 80, "traffic-port", "HTTP"),
            "k8s-default-appawsin-821871fe74"
        );
    }

    #[test]
    fn a_part_without_letters_leaves_an_empty_place() {
        assert!(
            implicit("---", "x")
                .security_group_name("c")
                .starts_with("k8s--x-")
        );
    }
}
