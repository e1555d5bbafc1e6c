//! Plans as people read them.

use albsync::plan::{
    prepare,
    render::{TextOptions, Tone, json, text},
    route,
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
