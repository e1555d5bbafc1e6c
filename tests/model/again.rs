//! What is built again after a change is what is built anew, whatever changes in documents, facts and configuration.

use std::collections::BTreeMap;

use albsync::{
    id::SubnetId,
    manifest::{self, Checks, ParseOptions},
    model::{
        elb::Scheme,
        facts::{Facts, LoadBalancerFact, NamedArn, SecretFact, Subnet},
        group::{build, cache::Cache},
        settings::Settings,
    },
};
use proptest::prelude::*;

use crate::repository::{Ingress, Repository, Service, repositories};

/// What the world may do between two builds.
type Event = fn(&mut Facts, &mut Settings);

const EVENTS: &[Event] = &[
    |_, _| {},
    |_, _| {},
    |facts, _| facts.services = None,
    |facts, _| {
        let services = facts.services.get_or_insert_default();
        if let Some(fact) = services.get_mut("default/back") {
            fact.uid = Some("another".to_owned());
        }
    },
    |facts, _| {
        let services = facts.services.get_or_insert_default();
        for fact in services.values_mut() {
            fact.ip_families = Some(vec!["IPv6".to_owned()]);
        }
    },
    |facts, _| {
        facts.services.get_or_insert_default().remove("default/app");
    },
    |facts, _| {
        facts.services.get_or_insert_default().remove("x-b/x-back");
    },
    |facts, _| {
        let balancer = LoadBalancerFact {
            scheme: None,
            subnets: vec![SubnetId::from("subnet-1")],
        };
        let balancers = facts.load_balancers.get_or_insert_default();
        balancers.insert("shop".to_owned(), balancer);
    },
    |facts, _| facts.load_balancers = None,
    |facts, _| facts.subnets = None,
    |facts, _| {
        let subnets = facts.subnets.get_or_insert_default();
        subnets.push(Subnet {
            id: SubnetId::from("subnet-0"),
            az: "a".to_owned(),
            free_addresses: 300,
            tags: BTreeMap::from([("kubernetes.io/role/internal-elb".to_owned(), "1".to_owned())]),
            ..Subnet::default()
        });
    },
    |facts, _| facts.security_groups = None,
    |facts, _| facts.security_groups = Some(Vec::new()),
    |facts, _| facts.vpc = None,
    |facts, _| {
        if let Some(vpc) = &mut facts.vpc {
            vpc.id.push('0');
        }
    },
    |facts, _| facts.ingress_classes = None,
    |facts, _| facts.certificates = None,
    |facts, _| {
        let named = |name: &str| NamedArn {
            name: name.to_owned(),
            arn: format!("arn:{name}"),
        };
        facts.target_groups = Some(vec![named("mine")]);
        facts.web_acls = Some(vec![named("acl")]);
        facts.trust_stores = Some(vec![named("store")]);
    },
    |facts, _| {
        let secret = SecretFact {
            keys: ["clientID".to_owned(), "clientSecret".to_owned()].into(),
            ..SecretFact::default()
        };
        let secrets = BTreeMap::from([
            ("default/oidc".to_owned(), secret.clone()),
            ("x-b/oidc".to_owned(), secret),
        ]);
        facts.secrets = Some(secrets);
    },
    |_, settings| settings.default_scheme = Scheme::InternetFacing,
    |_, settings| {
        let tag = ("team".to_owned(), "all".to_owned());
        settings.default_tags.extend([tag]);
    },
    |_, settings| settings.flags.enable_backend_security_group = false,
];

/// Annotations that look something up.
const LOOKED_UP: &[(&str, &str)] = &[
    ("wafv2-acl-name", "acl"),
    (
        "mutual-authentication",
        r#"[{"port":443,"mode":"verify","trustStore":"store"}]"#,
    ),
    (
        "actions.app",
        r#"{"type":"forward","forwardConfig":{"targetGroups":[{"targetGroupName":"mine"}]}}"#,
    ),
    ("subnets", "subnet-3, subnet-4"),
    ("security-groups", "sg-1"),
    ("listen-ports", r#"[{"HTTPS":443}]"#),
    ("auth-type", "oidc"),
    (
        "auth-idp-oidc",
        r#"{"issuer":"https://a.example","authorizationEndpoint":"https://a.example/a","tokenEndpoint":"https://a.example/t","userInfoEndpoint":"https://a.example/u","secretName":"oidc"}"#,
    ),
];

/// A repository some of whose Ingresses look more up.
fn repository() -> impl Strategy<Value = Repository> {
    let looks = prop::collection::vec(
        prop::option::weighted(0.3, prop::sample::subsequence(LOOKED_UP.to_vec(), 1..4)),
        6,
    );
    (repositories(), looks).prop_map(|(mut repository, looks)| {
        for (ingress, looks) in repository.ingresses.iter_mut().zip(looks) {
            ingress.annotations.extend(looks.unwrap_or_default());
        }
        repository
    })
}

/// Documents of one in the place of those of another, as a commit exchanges them.
fn exchange(of: &mut Repository, with: &Repository, which: prop::sample::Index, is_ingress: bool) {
    if is_ingress {
        let Some(new) = (!with.ingresses.is_empty()).then(|| which.get(&with.ingresses)) else {
            return;
        };
        let is_old = |old: &Ingress| (old.namespace, old.name) == (new.namespace, new.name);
        // Every now and then one goes without another in its place.
        let before = of.ingresses.len();
        of.ingresses.retain(|old| !is_old(old));
        if of.ingresses.len() == before || which.index(3) > 0 {
            of.ingresses.push(new.clone());
        }
    } else {
        let Some(new) = (!with.services.is_empty()).then(|| which.get(&with.services)) else {
            return;
        };
        let is_old = |old: &Service| (old.namespace, old.name) == (new.namespace, new.name);
        let before = of.services.len();
        of.services.retain(|old| !is_old(old));
        if of.services.len() == before || which.index(3) > 0 {
            of.services.push(new.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_again_after_a_change_is_what_is_built_anew(
        mut repository in repository(),
        other in repository(),
        steps in prop::collection::vec(
            (
                any::<prop::sample::Index>(),
                any::<bool>(),
                prop::sample::select(EVENTS.to_vec()),
                prop::bool::weighted(0.2),
            ),
            1..8,
        ),
        lbc in any::<bool>(),
    ) {
        let checks = if lbc { Checks::Lbc } else { Checks::Strict };
        let options = ParseOptions { checks, ..ParseOptions::default() };
        let mut documents = manifest::Cache::default();
        let mut groups = Cache::default();
        for (which, is_ingress, event, is_read_anew) in steps {
            if is_read_anew {
                // Equal documents that are not the same ones, as a commit has them of which parts are older.
                documents = manifest::Cache::default();
            }
            exchange(&mut repository, &other, which, is_ingress);
            let (mut facts, mut settings) = (repository.facts(), crate::settings(checks));
            event(&mut facts, &mut settings);
            let snapshot = repository.a_file_each();
            let parsed = manifest::parse_changed(&snapshot, &options, &mut documents).value;
            let again = build::build_changed(&parsed, &facts, &settings, &mut groups);
            let anew = build::build_all(&parsed, &facts, &settings);
            prop_assert_eq!(format!("{again:#?}"), format!("{anew:#?}"));
            build::build_changed(&parsed, &facts, &settings, &mut groups);
            prop_assert_eq!(groups.groups_built, 0);
        }
    }
}

/// Two groups, of which the first looks at more: how many are built again after an event.
fn built_again(looks: &[(&'static str, &'static str)], event: Event) -> usize {
    let ingress = |namespace, annotations: &[(&'static str, &'static str)]| Ingress {
        namespace,
        name: "web",
        annotations: annotations.iter().copied().collect(),
        rules: vec![("a.example.com", vec![("/", "Prefix", "app", "80")])],
    };
    let service = |namespace| Service {
        namespace,
        name: "app",
        annotations: BTreeMap::new(),
    };
    let plain = [("subnets", "subnet-1, subnet-2")];
    let repository = Repository {
        ingresses: vec![
            ingress("default", &[&plain, looks].concat()),
            ingress("x-b", &plain),
        ],
        services: vec![service("default"), service("x-b")],
    };
    let parsed = manifest::parse(&repository.a_file_each(), &ParseOptions::default()).value;
    let (mut facts, mut settings) = (repository.facts(), crate::settings(Checks::Strict));
    let mut cache = Cache::default();
    build::build_changed(&parsed, &facts, &settings, &mut cache);
    assert_eq!(cache.groups_built, 2);
    event(&mut facts, &mut settings);
    build::build_changed(&parsed, &facts, &settings, &mut cache);
    cache.groups_built
}

#[test]
fn only_groups_that_looked_at_what_changed_are_built_again() {
    let acl: Event = |facts, _| facts.web_acls = Some(Vec::new());
    assert_eq!(built_again(&[("wafv2-acl-name", "acl")], acl), 1);
    assert_eq!(built_again(&[], acl), 0);
    let secret: Event = |facts, _| {
        let secrets = [("default/oidc".to_owned(), SecretFact::default())];
        facts.secrets = Some(secrets.into());
    };
    // Whether Secrets were read at all is about all of them.
    assert_eq!(built_again(&[], secret), 2);
    let service: Event = |facts, _| {
        let services = facts.services.get_or_insert_default();
        services.remove("default/app");
    };
    assert_eq!(built_again(&[], service), 1);
    let other_service: Event = |facts, _| {
        let services = facts.services.get_or_insert_default();
        services.insert("default/other".to_owned(), Default::default());
    };
    assert_eq!(built_again(&[], other_service), 0);
    let nodes: Event = |facts, _| facts.nodes = Some(Vec::new());
    assert_eq!(built_again(&[], nodes), 0);
    let certificates: Event = |facts, _| facts.certificates = None;
    assert_eq!(built_again(&[], certificates), 0);
    let https = [("listen-ports", r#"[{"HTTPS":443}]"#)];
    assert_eq!(built_again(&https, certificates), 1);
    let settings: Event = |_, settings| settings.default_scheme = Scheme::InternetFacing;
    assert_eq!(built_again(&[], settings), 2);
}

#[test]
fn where_a_change_touches_many_groups_they_come_out_as_built_anew() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let ingress = |name| Ingress {
        namespace: "default",
        name,
        annotations: BTreeMap::new(),
        rules: vec![("a.example.com", vec![("/", "Prefix", "app", "80")])],
    };
    let repository = Repository {
        ingresses: names.map(ingress).into(),
        services: vec![Service {
            namespace: "default",
            name: "app",
            annotations: BTreeMap::new(),
        }],
    };
    let parsed = manifest::parse(&repository.a_file_each(), &ParseOptions::default()).value;
    let (mut facts, settings) = (repository.facts(), crate::settings(Checks::Strict));
    let mut cache = Cache::default();
    let before = build::build_changed(&parsed, &facts, &settings, &mut cache);
    let services = facts.services.get_or_insert_default();
    for service in services.values_mut() {
        service.uid = Some("another".to_owned());
    }
    let again = build::build_changed(&parsed, &facts, &settings, &mut cache);
    assert_eq!(cache.groups_built, names.len());
    let anew = build::build_all(&parsed, &facts, &settings);
    assert_eq!(format!("{again:#?}"), format!("{anew:#?}"));
    assert_ne!(format!("{again:#?}"), format!("{before:#?}"));
}
