use super::{super::fixture::subnet, *};

const ROLE: (&str, &str) = ("kubernetes.io/role/elb", "1");
const OURS: (&str, &str) = ("kubernetes.io/cluster/mz-k8s", "shared");

fn found(subnets: &[Subnet]) -> Result<Vec<String>, String> {
    let ids = discover(subnets, Scheme::InternetFacing, "mz-k8s")?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

#[test]
fn one_subnet_per_zone_is_chosen_by_cluster_tag_then_by_id() {
    let subnets = [
        subnet("subnet-c1", "c", &[ROLE]),
        subnet("subnet-a3", "a", &[ROLE, OURS]),
        subnet("subnet-a1", "a", &[ROLE]),
        subnet("subnet-a2", "a", &[ROLE, OURS]),
        subnet("subnet-c0", "c", &[ROLE]),
    ];
    assert_eq!(found(&subnets).unwrap(), ["subnet-a2", "subnet-c0"]);
}

#[test]
fn the_role_tag_is_1_or_empty() {
    let empty = ("kubernetes.io/role/elb", "");
    let subnets = [
        subnet("subnet-a", "a", &[ROLE]),
        subnet("subnet-c", "c", &[empty]),
    ];
    assert_eq!(found(&subnets).unwrap(), ["subnet-a", "subnet-c"]);
}

#[test]
fn without_any_role_tag_the_routes_decide() {
    let with = |id: &str, zone: &str, public| Subnet {
        public,
        ..subnet(id, zone, &[])
    };
    let subnets = [
        with("subnet-a", "a", Some(true)),
        with("subnet-c", "c", Some(true)),
        with("subnet-d", "d", Some(false)),
        with("subnet-e", "e", Some(false)),
    ];
    assert_eq!(found(&subnets).unwrap(), ["subnet-a", "subnet-c"]);
    let internal = discover(&subnets, Scheme::Internal, "mz-k8s").unwrap();
    assert_eq!(internal, ["subnet-d", "subnet-e"].map(SubnetId::from));
}

#[test]
fn one_role_tag_switches_the_routes_off() {
    let with = |id: &str, zone: &str| Subnet {
        public: Some(true),
        ..subnet(id, zone, &[])
    };
    let subnets = [
        with("subnet-a", "a"),
        with("subnet-c", "c"),
        subnet("subnet-d", "d", &[ROLE]),
    ];
    let reason = found(&subnets).unwrap_err();
    assert!(
        reason.contains("subnet-a (a): no tag kubernetes.io/role/elb"),
        "{reason}"
    );
}

#[test]
fn every_misconfiguration_has_its_own_message() {
    let good = subnet("subnet-a", "a", &[ROLE]);
    let few = Subnet {
        free_addresses: 7,
        ..subnet("subnet-c", "c", &[ROLE])
    };
    let unread = [subnet("subnet-a", "a", &[]), subnet("subnet-c", "c", &[])];
    let private = unread.clone().map(|subnet| Subnet {
        public: Some(false),
        ..subnet
    });
    let other_cluster = ("kubernetes.io/cluster/other", "owned");
    let cases: Vec<(Vec<Subnet>, &str)> = vec![
        (vec![], "the VPC has none"),
        (
            vec![good.clone()],
            "in 2 zones, found 1: subnet-a (a): fits (tag subnets `kubernetes.io/role/elb` = `1`)",
        ),
        (
            vec![good.clone(), subnet("subnet-c", "c", &[])],
            "subnet-c (c): no tag kubernetes.io/role/elb",
        ),
        (
            vec![
                good.clone(),
                subnet("subnet-c", "c", &[("kubernetes.io/role/elb", "true")]),
            ],
            "subnet-c (c): tag kubernetes.io/role/elb is `true`, not `1` or empty",
        ),
        (
            vec![
                good.clone(),
                subnet("subnet-c", "c", &[ROLE, other_cluster]),
            ],
            "subnet-c (c): tagged for another cluster (kubernetes.io/cluster/other)",
        ),
        (
            vec![good.clone(), few],
            "subnet-c (c): 7 free addresses, 8 are needed",
        ),
        (
            vec![good.clone(), subnet("subnet-b", "a", &[ROLE])],
            "subnet-b (a): fits, but its zone has one already",
        ),
        (unread.to_vec(), "its routes were not read"),
        (private.to_vec(), "no route to an internet gateway"),
        (
            vec![subnet(
                "subnet-i",
                "a",
                &[("kubernetes.io/role/internal-elb", "1")],
            )],
            "no subnet has it, so routes decided",
        ),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (subnets, part) in cases {
        let reason = found(&subnets).unwrap_err();
        assert!(reason.contains(part), "`{part}` is not in: {reason}");
        assert!(seen.insert(reason));
    }
}

#[test]
fn a_large_vpc_is_named_in_part() {
    let subnets: Vec<Subnet> = (10..60)
        .map(|id| subnet(&format!("subnet-{id}"), "a", &[]))
        .collect();
    let reason = found(&subnets).unwrap_err();
    assert!(reason.contains("; and 30 more"), "{reason}");
}
