//! Plans as people read them.

use albsync::{
    model::elb::{Rewrite, RuleAction, Transform},
    plan::{
        prepare,
        render::{TextOptions, Tone, json, text},
        route,
    },
};
use serde_json::json;

use crate::{
    fixture::{object, shop, tutorial},
    world::World,
};

#[test]
fn a_changed_backend_reads_like_a_sentence_with_its_place() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one"), ("/b", "two")]));
    let plan = world.plan(&shop(&[("/a", "three"), ("/b", "two")]).desired(), route);
    let words = text(&plan, &TextOptions::default());
    for expected in [
        "group default/shop\n",
        "  + create target group default/shop-three:80 (k8s-shop-three-",
        "  ↷ register i-00000000000000000:",
        "  ~ change rule: host shop.example, path /a or /a/*  (changed in git, shop.yaml:10)\n",
        "      action: forward to default/shop-one:80 → forward to default/shop-three:80\n",
        "  - delete target group default/shop-one:80  (gone from git)\n",
        "balancers and what leaves: 2 to create,",
    ] {
        assert!(words.contains(expected), "{expected:?} is not in\n{words}");
    }
}

#[test]
fn what_cannot_come_back_is_said_before() {
    let mut world = World::new();
    world.pass(&tutorial());
    let mut wish = tutorial();
    wish.ingresses.clear();
    wish.roles.clear();
    let words = text(&world.plan(&wish.desired(), route), &TextOptions::default());
    assert!(
        words.contains("a later revert cannot bring back\n"),
        "{words}"
    );
    assert!(
        words.contains("! load balancer k8s-default-shop-pub: its ARN"),
        "{words}"
    );
    assert!(
        words.contains("! role mz-k8s-default-reader: its unique id AROA"),
        "{words}"
    );
}

#[test]
fn nothing_to_do_is_one_line() {
    let mut world = World::new();
    world.pass(&tutorial());
    let plan = world.plan(&tutorial().desired(), prepare);
    assert_eq!(
        text(&plan, &TextOptions::default()),
        "roles and objects: nothing to do\n"
    );
}

#[test]
fn contents_of_secrets_and_policies_are_never_printed() {
    let world = World::new();
    let mut desired = tutorial().desired();
    desired.objects.push(object(
        "v1",
        "Secret",
        "key",
        json!({"stringData": {"password": "hunter2"}}),
    ));
    let plan = world.plan(&desired, prepare);
    let words = text(&plan, &TextOptions::default());
    assert!(words.contains("+ create Secret default/key"), "{words}");
    assert!(
        !words.contains("hunter2") && !words.contains("s3:GetObject"),
        "{words}"
    );
    let data = json(&plan).to_string();
    assert!(data.contains("(hidden)") && !data.contains("hunter2"));
}

#[test]
fn a_changed_secret_names_its_fields_without_their_values() {
    let mut world = World::new();
    let mut desired = tutorial().desired();
    let secret = |value: &str| {
        object(
            "v1",
            "Secret",
            "key",
            json!({"stringData": {"password": value}}),
        )
    };
    desired.objects.push(secret("hunter2"));
    world.pass_desired(&desired);
    desired.objects.pop();
    desired.objects.push(secret("swordfish"));
    let words = text(&world.plan(&desired, prepare), &TextOptions::default());
    assert!(
        words.contains("~ apply Secret default/key  (changed in git"),
        "{words}"
    );
    assert!(
        !words.contains("hunter2") && !words.contains("swordfish"),
        "{words}"
    );
}

#[test]
fn every_piece_can_be_painted() {
    let world = World::new();
    let options = TextOptions {
        paint: |tone, text| match tone {
            Tone::Create => format!("<{text}>"),
            _ => text.to_owned(),
        },
        differences: false,
    };
    let words = text(&world.plan(&tutorial().desired(), prepare), &options);
    assert!(
        words.contains("  <+ create role mz-k8s-default-reader>  "),
        "{words}"
    );
}

#[test]
fn what_differs_at_the_end_of_a_long_value_is_shown() {
    let mut world = World::new();
    let with_body = |body: String| {
        let mut desired = shop(&[("/a", "one")]).desired();
        let group = desired.groups.values_mut().next().unwrap();
        let listener = group.listeners.values_mut().next().unwrap();
        listener.spec.default_actions = vec![RuleAction::FixedResponse {
            status_code: "503".to_owned(),
            content_type: Some("text/plain".to_owned()),
            message_body: Some(body),
        }];
        desired
    };
    let long = "x".repeat(500);
    world.pass_desired(&with_body(format!("{long} today")));
    let plan = world.plan(&with_body(format!("{long} tomorrow")), route);
    let words = text(&plan, &TextOptions::default());
    let shown = format!("default body: …{} today → …", "x".repeat(37));
    assert!(words.contains(&shown), "{words}");
    assert!(words.contains("x tomorrow\n"), "{words}");
}

#[test]
fn a_new_thing_says_what_it_is_made_with() {
    let world = World::new();
    let mut wish = shop(&[("/a", "one")]);
    wish.attributes
        .insert("idle_timeout.timeout_seconds".to_owned(), "120".to_owned());
    wish.tags.insert("team".to_owned(), "blue".to_owned());
    let mut desired = wish.desired();
    let group = desired.groups.values_mut().next().unwrap();
    let listener = group.listeners.values_mut().next().unwrap();
    listener.spec.attributes = [(
        "routing.http.response.server.enabled".to_owned(),
        "false".to_owned(),
    )]
    .into();
    listener.rules[0].spec.transforms = vec![Transform::UrlRewrite {
        rewrites: vec![Rewrite {
            regex: "^/a".to_owned(),
            replace: "/".to_owned(),
        }],
    }];
    let target_group = group.target_groups.values_mut().next().unwrap();
    target_group.spec.attributes = [("stickiness.enabled".to_owned(), "true".to_owned())].into();
    let words = text(&world.plan(&desired, route), &TextOptions::default());
    for expected in [
        "      ipv4 in subnet-pub0, subnet-pub1, subnet-pub2\n",
        "      security groups: the new ManagedLBSecurityGroup, the new backend-sg\n",
        "      attribute idle_timeout.timeout_seconds: set to 120\n",
        "      attribute routing.http.response.server.enabled: set to false\n",
        "      attribute stickiness.enabled: set to true\n",
        "      default action: answer 404\n",
        "      instances (ipv4), HTTP (HTTP1) to port 30",
        "      health check: HTTP / on traffic-port every 15 s, timeout 5 s, healthy after 2, unhealthy after 2, success 200\n",
        "      rewrites: URL ^/a to /\n",
        "      tags: team=blue\n",
    ] {
        assert!(words.contains(expected), "{expected:?} is not in\n{words}");
    }
    assert!(!words.contains("elbv2.k8s.aws/cluster"), "{words}");
}
