//! When two permissions are the same (aws-deploy §2.7): protocol, ports and source; the description is not compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    id::{Arn, ResourceId},
    model::net::{Permission, PermissionSource},
};

use super::elb::resolve_group;

/// What to authorize and what to revoke, in this order (lessons C8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionChanges {
    pub authorize: Vec<Permission>,
    pub revoke: Vec<Permission>,
}

/// Identity of a permission: everything but its description, protocol in lower case.
fn identity(permission: &Permission) -> (String, i32, i32, PermissionSource) {
    (
        permission.protocol.to_lowercase(),
        permission.from_port,
        permission.to_port,
        permission.source.clone(),
    )
}

/// `revocable` says which live permissions are ours to revoke.
pub fn permissions<'a>(
    wanted: impl IntoIterator<Item = &'a Permission>,
    live: &BTreeSet<Permission>,
    revocable: impl Fn(&Permission) -> bool,
) -> PermissionChanges {
    let wanted: BTreeMap<_, &Permission> = wanted
        .into_iter()
        .map(|permission| (identity(permission), permission))
        .collect();
    let present: BTreeSet<_> = live.iter().map(identity).collect();
    PermissionChanges {
        authorize: wanted
            .iter()
            .filter(|(identity, _)| !present.contains(*identity))
            .map(|(_, permission)| (*permission).clone())
            .collect(),
        revoke: live
            .iter()
            .filter(|permission| {
                !wanted.contains_key(&identity(permission)) && revocable(permission)
            })
            .cloned()
            .collect(),
    }
}

/// Permissions with sources that exist already put in.
pub fn resolve_permissions<'a>(
    permissions: impl IntoIterator<Item = &'a Permission>,
    known: &BTreeMap<ResourceId, Arn>,
) -> Vec<Permission> {
    permissions
        .into_iter()
        .map(|permission| {
            let mut permission = permission.clone();
            if let PermissionSource::SecurityGroup(group) = &permission.source {
                permission.source = PermissionSource::SecurityGroup(resolve_group(group, known));
            }
            permission
        })
        .collect()
}

/// One permission as people read it.
pub fn permission_text(permission: &Permission) -> String {
    let Permission {
        protocol,
        from_port,
        to_port,
        source,
        ..
    } = permission;
    let ports = match (from_port, to_port) {
        (-1, _) => "all ports".to_owned(),
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}–{to}"),
    };
    let source = match source {
        PermissionSource::Cidr(cidr) | PermissionSource::Ipv6Cidr(cidr) => cidr.clone(),
        PermissionSource::PrefixList(list) => list.clone(),
        PermissionSource::SecurityGroup(group) => match group {
            crate::model::desired::Ref::Known(id) => id.to_string(),
            crate::model::desired::Ref::Output(id) => id.name.clone(),
        },
    };
    format!("{protocol} {ports} from {source}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(port: i32, description: &str) -> Permission {
        Permission {
            protocol: "tcp".to_owned(),
            from_port: port,
            to_port: port,
            source: PermissionSource::Cidr("0.0.0.0/0".to_owned()),
            description: description.to_owned(),
        }
    }

    #[test]
    fn a_permission_that_differs_in_its_description_only_is_left_alone() {
        let live = BTreeSet::from([permission(80, "by hand"), permission(443, "")]);
        let changes = permissions(&[permission(80, "")], &live, |_| true);
        assert!(changes.authorize.is_empty());
        assert_eq!(changes.revoke, vec![permission(443, "")]);
        let changes = permissions(&[permission(80, "")], &live, |live| {
            live.description == "ours"
        });
        assert_eq!(changes, PermissionChanges::default());
    }
}
