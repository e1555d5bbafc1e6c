//! What a hand changes at roles and policies: put right where they are ours, held where that cannot be told any more.

use serde_json::{Value, json};

use super::drift::heals;
use super::*;

#[test]
fn the_roles_trust_and_its_policy_come_back() {
    let mut scene = Scene::tutorial(PERIOD);
    let role = scene.role();
    let stranger = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:AssumeRole"}],
    });
    heals(
        &mut scene,
        "a role that trusts a stranger",
        |scene| {
            let request =
                json!({"RoleName": role["RoleName"], "PolicyDocument": stranger.to_string()});
            scene.bed.aws("iam", "UpdateAssumeRolePolicy", request);
        },
        &["iam:UpdateAssumeRolePolicy"],
        ("role", &["trust"]),
    );
    heals(
        &mut scene,
        "a detached policy",
        |scene| {
            let attached = scene.bed.aws(
                "iam",
                "ListAttachedRolePolicies",
                json!({"RoleName": role["RoleName"]}),
            );
            let policy = &attached["AttachedPolicies"][0]["PolicyArn"];
            scene.bed.aws(
                "iam",
                "DetachRolePolicy",
                json!({"RoleName": role["RoleName"], "PolicyArn": policy}),
            );
        },
        &["iam:AttachRolePolicy"],
        ("role", &["read-assets"]),
    );
    assert_eq!(scene.role()["RoleId"], role["RoleId"]);
    scene.assert_guard();
}

#[test]
fn iam_objects_that_lost_our_owner_tags_are_held_and_reported_until_the_tags_are_back() {
    let mut scene = Scene::tutorial(PERIOD);
    let before = scene.bed.dump_with_ids();
    let name = scene.role()["RoleName"].take();
    let policy = only(
        scene
            .bed
            .aws("iam", "ListPolicies", json!({"PathPrefix": "/albsync/"}))["Policies"]
            .take(),
    )["Arn"]
        .take();
    let key = "albsync.dev/owner";
    let untag = |what: &str, target: Value| {
        let mut request = target;
        request["TagKeys"] = json!([key]);
        scene.bed.aws("iam", what, request);
    };
    let of = |list: &str, target: Value| -> Value {
        let tags = pairs(&scene.bed.aws("iam", list, target)["Tags"]);
        tags[key].clone()
    };
    let cases = [
        (
            "Role",
            json!({"RoleName": name}),
            format!("role {} lost our owner tags", text(&name)),
        ),
        (
            "Policy",
            json!({"PolicyArn": policy}),
            format!("policy {} lost our owner tags", text(&policy)),
        ),
    ];
    for (what, target, message) in cases {
        let owner = of(&format!("List{what}Tags"), target.clone());
        let mark = scene.bed.proxy.mark();
        untag(&format!("Untag{what}"), target.clone());
        scene.daemon.wait_for("the hold", PERIOD + SLACK, |status| {
            list(&status["held"]).iter().any(|held| {
                held["code"] == "OwnershipConflict"
                    && text(&held["message"]) == message
                    && text(&held["release"]).contains("put the owner tags back")
            })
        });
        // Somebody else's now, as far as can be told: not even a wrong trust is put right.
        let sent = scene.writes(mark);
        assert!(sent.is_empty(), "{what}: {sent:?}");

        let mut back = target;
        back["Tags"] = json!([{"Key": key, "Value": owner}]);
        scene.bed.aws("iam", &format!("Tag{what}"), back);
        scene
            .daemon
            .wait_for("all well again", PERIOD + SLACK, |status| {
                list(&status["held"]).is_empty() && status["health"] == "Healthy"
            });
    }
    assert_same(
        "as before",
        &before["aws"],
        &scene.bed.dump_with_ids()["aws"],
    );
    scene.assert_guard();
}
