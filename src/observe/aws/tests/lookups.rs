use super::*;
use crate::model::{
    facts::{
        Facts,
        needs::{CertificateNeeds, Selection},
    },
    settings::Settings,
};

#[tokio::test]
async fn only_what_is_needed_is_looked_up() {
    let account = FakeAccount::seeded(CLUSTER);
    let (found, gaps) = lookups(&account, &Needs::default()).await;
    assert_eq!((found, gaps), (Facts::default(), Vec::new()));
    assert_eq!(calls(&account), counts(&[]));
    let needs = Needs {
        certificates: Some(CertificateNeeds::default()),
        trust_stores: true,
        ..Needs::default()
    };
    let (found, _) = lookups(&account, &needs).await;
    // There are none, which is not the same as not to know.
    assert_eq!(found.certificates, Some(Vec::new()));
    assert_eq!(found.trust_stores, Some(Vec::new()));
    assert_eq!(found.web_acls, None);
    assert_eq!(
        calls(&account),
        counts(&[("DescribeTrustStores", 1), ("ListCertificates", 1)])
    );
}

#[tokio::test]
async fn a_lookup_that_is_refused_is_unknown_and_not_an_empty_list() {
    let account = FakeAccount::seeded(CLUSTER);
    let needs = Needs::everything(&Settings::offline());
    let operations = [
        "ListCertificates",
        "ListWebACLs",
        "DescribeTrustStores",
        "DescribeTargetGroups",
        "DescribeManagedPrefixLists",
        "DescribeAccountLimits",
    ];
    for operation in operations {
        account.refuse_next(operation, "AccessDeniedException");
    }
    let (found, gaps) = lookups(&account, &needs).await;
    assert_eq!(found, Facts::default());
    assert_eq!(gaps.len(), operations.len());
    assert!(gaps.iter().all(|gap| gap.denied), "{gaps:#?}");
}

#[tokio::test]
async fn security_groups_that_users_name_are_found_by_id_and_by_name() {
    let account = FakeAccount::seeded(CLUSTER);
    account.edit(|state| {
        for (id, name) in [("sg-edge", "edge"), ("sg-edge2", "edge"), ("sg-x", "x")] {
            let id = SecurityGroupId::from(id);
            let mut group = state.security_groups[&SecurityGroupId::from("sg-nodes")].clone();
            group.id = id.clone();
            group.tags = Tags::from([("Name".to_owned(), name.to_owned())]);
            state.security_groups.insert(id, group);
        }
    });
    let mut wanted = facts_wanted();
    let names = ["sg-x", "edge", "nobody"].map(str::to_owned);
    wanted.needs.security_groups = Selection::Named(names.into());
    let ids = |found: Facts| -> Vec<String> {
        let groups = found.security_groups.unwrap();
        groups.into_iter().map(|group| group.id.0).collect()
    };
    let (found, gaps) = facts(&account, &wanted).await;
    assert_eq!(gaps, []);
    assert_eq!(ids(found), ["sg-edge", "sg-edge2", "sg-nodes", "sg-x"]);
    // Ids in one call, and one for each name.
    assert_eq!(calls(&account)["DescribeSecurityGroups"], 3);
    account.edit(|state| {
        let mut other = state.security_groups[&SecurityGroupId::from("sg-edge2")].clone();
        other.id = SecurityGroupId::from("sg-edge3");
        other.tags = Tags::from([("Name".to_owned(), "edge-b".to_owned())]);
        state.security_groups.insert(other.id.clone(), other);
    });
    wanted.needs.security_groups = Selection::Named(["edge?*".to_owned()].into());
    assert_eq!(
        ids(facts(&account, &wanted).await.0),
        ["sg-edge3", "sg-nodes"]
    );
    account.forget_calls();
    wanted.needs.security_groups = Selection::All;
    let (found, _) = facts(&account, &wanted).await;
    assert_eq!(ids(found).len(), 5);
    assert_eq!(calls(&account)["DescribeSecurityGroups"], 1);
}

#[tokio::test]
async fn types_of_zones_are_asked_only_where_one_may_be_another() {
    let account = FakeAccount::seeded(CLUSTER);
    let (found, _) = facts(&account, &facts_wanted()).await;
    let subnets = found.subnets.unwrap();
    assert!(subnets.iter().all(|subnet| subnet.zone_type.is_none()));
    assert!(!calls(&account).contains_key("DescribeAvailabilityZones"));
    account.edit(|state| {
        let zone = "eu-central-1-ham-1a";
        state.subnets[0].az = zone.to_owned();
        state.zone_types = BTreeMap::from([(zone.to_owned(), "local-zone".to_owned())]);
    });
    let (found, _) = facts(&account, &facts_wanted()).await;
    let types: Vec<_> = found
        .subnets
        .unwrap()
        .into_iter()
        .map(|subnet| subnet.zone_type.unwrap())
        .collect();
    assert_eq!(types[0], "local-zone");
    assert_eq!(types[1], "availability-zone");
}
