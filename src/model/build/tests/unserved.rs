use super::*;
use crate::{
    manifest::{
        IngressOptions,
        annotation::{
            options::{ListenPort, MutualAuthentication, MutualMode},
            value::Protocol,
        },
    },
    model::build::lower::Unserved,
};

/// Makes the tutorial ask for it. A part without an arm here does not compile.
fn ask(part: Unserved, manifests: &mut Manifests, facts: &mut Facts, settings: &mut Settings) {
    let options = &mut manifests.ingresses[0].options;
    let certificates = |options: &mut IngressOptions| {
        options.listener.certificate_arns = Some(set(vec!["arn:a".to_owned()]));
    };
    match part {
        Unserved::Wafv2 => options.add_on.wafv2_acl_arn = Some(set("arn:waf".into())),
        Unserved::WafRegional => options.add_on.waf_acl_id = Some(set("id".into())),
        Unserved::Shield => options.add_on.shield_advanced_protection = Some(set(true)),
        Unserved::FrontendNlb => options.frontend_nlb.enable = Some(set(true)),
        Unserved::RequestedCertificate => {
            settings.gates.enable_certificate_management = true;
            options.listener.create_acm_cert = Some(set(true));
            options.listener.listen_ports = Some(set(vec![ListenPort {
                port: 443,
                protocol: Protocol::Https,
            }]));
        }
        Unserved::IpamPool => {
            facts.ipam_pools = Some(vec!["ipam-pool-1".into()]);
            options.load_balancer.ipam_ipv4_pool_id = Some(set("ipam-pool-1".into()));
        }
        Unserved::CustomerOwnedPool => {
            facts.coip_pools = Some(vec!["ipv4pool-coip-1".into()]);
            let pool = Some(set("ipv4pool-coip-1".into()));
            options.load_balancer.customer_owned_ipv4_pool = pool;
        }
        Unserved::Capacity => {
            let units = [("CapacityUnits".to_owned(), "100".to_owned())].into();
            options.load_balancer.minimum_capacity = Some(set(units));
        }
        Unserved::TrustStore => {
            certificates(options);
            let store = "arn:aws:elasticloadbalancing:r:1:truststore/clients/1";
            let verify = MutualAuthentication {
                mode: MutualMode::Verify,
                trust_store: Some(store.to_owned()),
                ignore_client_certificate_expiry: None,
                advertise_trust_store_ca_names: None,
            };
            options.listener.mutual_authentication = Some(set([(443, verify)].into()));
        }
        Unserved::MultiCluster => options.target_group.multi_cluster = Some(set(true)),
        Unserved::NoBackendGroup => settings.flags.enable_backend_security_group = false,
        Unserved::NoListenerTags => settings.gates.listener_rules_tagging = false,
    }
}

#[test]
fn each_part_that_is_not_served_holds_the_whole_group_and_is_named() {
    for part in Unserved::ALL {
        let (mut manifests, mut facts, mut settings) = (tutorial(), facts(), settings());
        ask(part, &mut manifests, &mut facts, &mut settings);
        let desired = build(&manifests, &facts, &settings).value;
        assert_eq!(desired.groups, BTreeMap::new(), "{part:?}");
        assert_eq!(desired.network, None, "{part:?}: nothing of it is left");
        let group = StackId::Group(GROUP.into());
        let reason = desired
            .waiting
            .iter()
            .find(|wait| wait.stack == group)
            .map(|wait| wait.reason.as_str());
        let told: Vec<&str> = reason.expect("it waits").split("; ").collect();
        let wanted = format!("{} not served yet", part.part());
        assert!(told.contains(&wanted.as_str()), "{part:?}: {told:?}");
        let others = told.iter().filter(|it| it.ends_with(" not served yet"));
        assert_eq!(others.count(), 1, "{part:?}: {told:?}");
    }
}

#[test]
fn all_parts_of_one_group_are_named() {
    let (mut manifests, mut facts, mut settings) = (tutorial(), facts(), settings());
    for part in [Unserved::Shield, Unserved::Capacity] {
        ask(part, &mut manifests, &mut facts, &mut settings);
    }
    let desired = build(&manifests, &facts, &settings).value;
    let told: String = desired
        .waiting
        .iter()
        .map(|wait| wait.reason.as_str())
        .collect();
    for part in [Unserved::Shield, Unserved::Capacity] {
        assert!(told.contains(part.part()), "{told}");
    }
}

#[test]
fn a_group_waits_for_another_commit_alone_only_where_it_waits_for_no_fact() {
    let lasts = |is_asked: bool, has_node_ports: bool| {
        let (mut manifests, mut facts, mut settings) = (tutorial(), facts(), settings());
        if is_asked {
            ask(Unserved::Wafv2, &mut manifests, &mut facts, &mut settings);
        }
        if !has_node_ports {
            facts.services = None;
        }
        let desired = build(&manifests, &facts, &settings).value;
        let group = StackId::Group(GROUP.into());
        let wait = desired.waiting.iter().find(|wait| wait.stack == group);
        let wait = wait.expect("it waits");
        assert_eq!(
            wait.reason.contains("not served yet"),
            is_asked,
            "{}",
            wait.reason
        );
        assert_eq!(
            wait.reason.contains("node port"),
            !has_node_ports,
            "{}",
            wait.reason
        );
        assert_eq!(desired.lasting().contains(&group), wait.lasts);
        wait.lasts
    };
    assert!(lasts(true, true));
    assert!(!lasts(false, false));
    // The node port comes: then it is to be looked at again, and told what is left.
    assert!(!lasts(true, false));
}
