use std::collections::BTreeSet;

use aws_sdk_ec2::types as sdk;
use proptest::prelude::*;

use super::convert;
use crate::{
    id::{SecurityGroupId, SubnetId},
    model::{
        desired::Ref,
        facts::Subnet,
        net::{Permission, PermissionSource},
    },
};

fn subnet(id: &str) -> Subnet {
    Subnet {
        id: SubnetId::from(id),
        az: String::new(),
        cidr: String::new(),
        free_addresses: 0,
        tags: Default::default(),
        public: None,
        ..Subnet::default()
    }
}

fn table(gateway: &str, subnet: Option<&str>) -> sdk::RouteTable {
    sdk::RouteTable::builder()
        .routes(
            sdk::Route::builder()
                .destination_cidr_block("0.0.0.0/0")
                .gateway_id(gateway)
                .build(),
        )
        .associations(
            sdk::RouteTableAssociation::builder()
                .main(subnet.is_none())
                .set_subnet_id(subnet.map(str::to_owned))
                .build(),
        )
        .build()
}

#[test]
fn a_subnet_is_public_by_its_own_route_table_or_else_by_the_main_one() {
    for (main, expected) in [("igw-1", true), ("local", false)] {
        let mut subnets = ["own-public", "own-private", "none"].map(subnet);
        convert::mark_public(
            &mut subnets,
            &[
                table(main, None),
                table("igw-1", Some("own-public")),
                table("nat-1", Some("own-private")),
            ],
        );
        assert_eq!(
            subnets.map(|subnet| subnet.public),
            [Some(true), Some(false), Some(expected)]
        );
    }
}

fn group(id: &str) -> sdk::GroupIdentifier {
    sdk::GroupIdentifier::builder().group_id(id).build()
}

fn interface(index: i32, id: &str) -> sdk::InstanceNetworkInterface {
    sdk::InstanceNetworkInterface::builder()
        .groups(group(id))
        .attachment(
            sdk::InstanceNetworkInterfaceAttachment::builder()
                .device_index(index)
                .build(),
        )
        .build()
}

#[test]
fn only_the_primary_interface_counts() {
    let instance = sdk::Instance::builder()
        .network_interfaces(interface(1, "sg-second"))
        .network_interfaces(interface(0, "sg-first"))
        .security_groups(group("sg-any"))
        .build();
    assert_eq!(
        convert::primary_groups(&instance),
        Some(vec![SecurityGroupId::from("sg-first")])
    );
    let bare = sdk::Instance::builder().security_groups(group("sg-any"));
    assert_eq!(
        convert::primary_groups(&bare.build()),
        Some(vec![SecurityGroupId::from("sg-any")])
    );
}

#[test]
fn a_terminated_instance_has_no_groups() {
    let instance = sdk::Instance::builder()
        .state(
            sdk::InstanceState::builder()
                .name(sdk::InstanceStateName::Terminated)
                .build(),
        )
        .security_groups(group("sg-any"))
        .build();
    assert_eq!(convert::primary_groups(&instance), None);
}

#[test]
fn the_primary_range_of_a_vpc_comes_first_and_lost_ones_are_left_out() {
    let block = |cidr: &str, state: sdk::VpcCidrBlockStateCode| {
        sdk::VpcCidrBlockAssociation::builder()
            .cidr_block(cidr)
            .cidr_block_state(sdk::VpcCidrBlockState::builder().state(state).build())
            .build()
    };
    let vpc = sdk::Vpc::builder()
        .vpc_id("vpc-1")
        .cidr_block("10.1.0.0/16")
        .cidr_block_association_set(block("10.0.0.0/16", sdk::VpcCidrBlockStateCode::Associated))
        .cidr_block_association_set(block("10.1.0.0/16", sdk::VpcCidrBlockStateCode::Associated))
        .cidr_block_association_set(block(
            "10.2.0.0/16",
            sdk::VpcCidrBlockStateCode::Disassociated,
        ))
        .build();
    assert_eq!(
        convert::vpc(vpc).unwrap().cidrs,
        ["10.1.0.0/16", "10.0.0.0/16"]
    );
}

fn any_permission() -> impl Strategy<Value = Permission> {
    let source = prop_oneof![
        "10\\.[0-9]\\.0\\.0/16".prop_map(PermissionSource::Cidr),
        "2001:db8:[0-9]::/48".prop_map(PermissionSource::Ipv6Cidr),
        "pl-[0-9]{2}".prop_map(PermissionSource::PrefixList),
        "sg-[0-9]{2}"
            .prop_map(|id| PermissionSource::SecurityGroup(Ref::Known(SecurityGroupId(id)))),
    ];
    let ports = prop_oneof![
        ("tcp|udp", 0i32..3).prop_map(|(protocol, port)| (protocol, port)),
        Just(("-1".to_owned(), -1)),
    ];
    (ports, source, "[a-z]{0,3}").prop_map(|((protocol, port), source, description)| Permission {
        protocol,
        from_port: port,
        to_port: port,
        source,
        description,
    })
}

proptest! {
    #[test]
    fn grouped_permissions_expand_to_what_they_were(
        permissions in proptest::collection::btree_set(any_permission(), 0..12),
    ) {
        let list: Vec<_> = permissions.iter().cloned().collect();
        let entries = convert::group(&list);
        let kinds: BTreeSet<_> = list
            .iter()
            .map(|permission| (&permission.protocol, permission.from_port))
            .collect();
        prop_assert_eq!(entries.len(), kinds.len());
        let raw = sdk::SecurityGroup::builder()
            .group_id("sg-1")
            .set_ip_permissions(Some(entries))
            .build();
        prop_assert_eq!(convert::security_group(raw).unwrap().ingress, permissions);
    }
}

#[test]
fn protocol_numbers_are_names() {
    let raw = sdk::SecurityGroup::builder()
        .group_id("sg-1")
        .ip_permissions(
            sdk::IpPermission::builder()
                .ip_protocol("6")
                .from_port(80)
                .to_port(80)
                .ip_ranges(sdk::IpRange::builder().cidr_ip("10.0.0.0/8").build())
                .build(),
        )
        .build();
    let ingress = convert::security_group(raw).unwrap().ingress;
    assert_eq!(ingress.first().unwrap().protocol, "tcp");
}
