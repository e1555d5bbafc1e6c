//! Conditions, actions, transforms and tokens of rules (ingress-model §5, aws-deploy §2.5).

use serde_json::json;

use super::served::{condition_of, elb_writes, ingress, parameters, paths};
use super::*;

/// One condition of each kind, hosts and header by value.
const EACH: &str = r#"[
 {"field":"host-header","hostHeaderConfig":{"values":["Shop.example.com","*.example.org"]}},
 {"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X-Stage","values":["beta"]}},
 {"field":"http-request-method","httpRequestMethodConfig":{"values":["GET"]}}
]"#;
const MORE: &str = r#"[
 {"field":"query-string","queryStringConfig":{"values":[{"key":"lang","value":"de"},{"value":"fr*"}]}},
 {"field":"source-ip","sourceIpConfig":{"values":["10.1.0.0/16","2001:db8::/32"]}}
]"#;
const REGEX: &str = r#"[
 {"field":"host-header","hostHeaderConfig":{"regexValues":["^shop-[0-9]+\\.example\\.com$"]}},
 {"field":"http-header","httpHeaderConfig":{"httpHeaderName":"User-Agent","regexValues":["^curl/"]}},
 {"field":"path-pattern","pathPatternConfig":{"values":["/older"]}}
]"#;
const TRANSFORMS: &str = r#"[
 {"type":"url-rewrite","urlRewriteConfig":{"rewrites":[{"regex":"^/old/(.*)$","replace":"/new/$1"}]}},
 {"type":"host-header-rewrite","hostHeaderRewriteConfig":{"rewrites":[{"regex":"^www\\.(.+)$","replace":"$1"}]}}
]"#;

fn with(each: &str, more: &str, transforms: &str) -> Value {
    let annotations = [
        ("conditions.app1", each),
        ("conditions.app2", more),
        ("conditions.app3", REGEX),
        ("transforms.app3", transforms),
    ];
    let given = [("=/each", "app1"), ("=/more", "app2"), ("=/old", "app3")];
    ingress("web", &annotations, &[paths("", &given)])
}

#[test]
fn conditions_and_transforms_arrive_with_their_values_and_an_edit_sends_only_its_rule() {
    let (mut scene, seed) = Scene::serving(&["app1", "app2", "app3"]);
    scene.put("web.yaml", &[with(EACH, MORE, TRANSFORMS)]);
    scene.edit("Route by everything");
    let rules = scene.raw_rules(&scene.listener());
    let by_path = |path: &str| {
        let found: Vec<&Value> = rules
            .iter()
            .filter(|rule| {
                condition_of(rule, "path-pattern")["PathPatternConfig"]["Values"]
                    .to_string()
                    .contains(path)
            })
            .collect();
        assert_eq!(found.len(), 1, "{path} in {rules:#?}");
        found[0].clone()
    };
    let each = by_path("/each");
    let hosts = &condition_of(&each, "host-header")["HostHeaderConfig"]["Values"];
    assert_eq!(list(hosts).len(), 2, "{hosts}");
    assert_eq!(
        condition_of(&each, "http-header")["HttpHeaderConfig"],
        json!({"HttpHeaderName": "X-Stage", "Values": ["beta"]})
    );
    assert_eq!(
        condition_of(&each, "http-request-method")["HttpRequestMethodConfig"]["Values"],
        json!(["GET"])
    );
    let more = by_path("/more");
    assert_eq!(
        condition_of(&more, "query-string")["QueryStringConfig"]["Values"],
        json!([{"Key": "lang", "Value": "de"}, {"Value": "fr*"}])
    );
    assert_eq!(
        condition_of(&more, "source-ip")["SourceIpConfig"]["Values"],
        json!(["10.1.0.0/16", "2001:db8::/32"])
    );
    let old = by_path("/old");
    assert_eq!(
        condition_of(&old, "host-header")["HostHeaderConfig"]["RegexValues"],
        json!([r"^shop-[0-9]+\.example\.com$"])
    );
    assert_eq!(
        condition_of(&old, "http-header")["HttpHeaderConfig"],
        json!({"HttpHeaderName": "User-Agent", "RegexValues": ["^curl/"]})
    );
    assert_eq!(
        old["Transforms"],
        json!([
            {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/old/(.*)$", "Replace": "/new/$1"}]}},
            {"Type": "host-header-rewrite", "HostHeaderRewriteConfig": {"Rewrites": [{"Regex": r"^www\.(.+)$", "Replace": "$1"}]}},
        ])
    );
    scene.assert_settled();

    // Hosts in another order and case say the same.
    let same = EACH.replace(
        r#""Shop.example.com","*.example.org""#,
        r#""*.example.org","shop.example.com""#,
    );
    scene.put("web.yaml", &[with(&same, MORE, TRANSFORMS)]);
    let changed = scene.edit("Say it another way");
    assert_eq!(
        elb_writes(&changed),
        Vec::<String>::new(),
        "{}",
        changed.render()
    );

    // Another header value, and no more transforms: the third rule is as it was.
    scene.put(
        "web.yaml",
        &[with(&EACH.replace("beta", "alpha"), MORE, "[]")],
    );
    let changed = scene.edit("Let another stage in, as it is");
    let after = scene.raw_rules(&scene.listener());
    assert!(after.contains(&more), "untouched: {after:#?}");
    let alpha = after
        .iter()
        .filter(|rule| rule.to_string().contains("alpha"))
        .count();
    assert_eq!(alpha, 1, "{after:#?}");
    assert!(
        after
            .iter()
            .all(|rule| list(&rule["Transforms"]).is_empty()),
        "{after:#?}"
    );
    let reset = parameters(&changed, "elasticloadbalancing:ModifyRule");
    assert_eq!(
        reset.get("ResetTransforms").map(String::as_str),
        Some("true"),
        "{reset:#?}"
    );
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn a_rule_with_more_values_than_alb_takes_arrives_as_several_of_the_same_meaning() {
    let (mut scene, seed) = Scene::serving(&["app1", "app2"]);
    let networks: Vec<String> = (0..7).map(|number| format!("10.{number}.0.0/16")).collect();
    let with = |networks: &[String]| {
        let sources = json!([{"field": "source-ip", "sourceIpConfig": {"values": networks}}]);
        let given = [("=/each", "app1"), ("=/rest", "app2")];
        let annotations = [("conditions.app1", &*sources.to_string())];
        ingress("web", &annotations, &[paths("", &given)])
    };
    // Of the rules for the path, in order: their sources. They do the same, and stand before what comes next in git.
    let parts = |scene: &Scene| -> Vec<Vec<String>> {
        let rules = scene.raw_rules(&scene.listener());
        let (rest, parts) = rules.split_last().expect("rules");
        let path = |rule: &Value| {
            condition_of(rule, "path-pattern")["PathPatternConfig"]["Values"].clone()
        };
        assert_eq!(path(rest), json!(["/rest"]));
        let sources = parts.iter().map(|rule| {
            assert_eq!(path(rule), json!(["/each"]));
            assert_eq!(rule["Actions"], parts[0]["Actions"]);
            let values = &condition_of(rule, "source-ip")["SourceIpConfig"]["Values"];
            let values = list(values).iter();
            values.map(|value| text(value).to_owned()).collect()
        });
        sources.collect()
    };
    let assert_parts = |scene: &Scene, count: usize, networks: &[String]| {
        let parts = parts(scene);
        assert_eq!(parts.len(), count, "{parts:?}");
        // ALB takes three values in a condition.
        assert!(parts.iter().all(|part| part.len() <= 3), "{parts:?}");
        let mut all = parts.concat();
        all.sort();
        assert_eq!(all, networks, "each network in one of them");
    };
    scene.put("web.yaml", &[with(&networks)]);
    scene.edit("Let seven networks in");
    assert_parts(&scene, 3, &networks);
    let assert_told = |scene: &Scene| {
        let told = scene.daemon.status().expect("a status")["problems"].to_string();
        assert!(told.contains("this rule becomes 3 rules"), "{told}");
    };
    assert_told(&scene);
    // Later passes and another process say so too.
    scene.assert_settled();
    assert_told(&scene);

    // What fits is one rule, and nothing more is told of it.
    scene.put("web.yaml", &[with(&networks[..3])]);
    scene.edit("Let three networks in");
    assert_parts(&scene, 1, &networks[..3]);
    assert_eq!(
        scene.daemon.status().expect("a status")["problems"],
        json!([])
    );
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn actions_arrive_whole_and_weights_change_in_place() {
    let (mut scene, seed) = Scene::serving(&["blue", "green"]);
    let split = |blue: u32| {
        format!(
            r#"{{"type":"forward","forwardConfig":{{"targetGroups":[
              {{"serviceName":"blue","servicePort":80,"weight":{blue}}},{{"serviceName":"green","servicePort":"web","weight":{}}}],
              "targetGroupStickinessConfig":{{"enabled":true,"durationSeconds":600}}}}}}"#,
            100 - blue
        )
    };
    let teapot = r#"{"type":"fixed-response","fixedResponseConfig":{"contentType":"application/json","statusCode":"418","messageBody":"{\"short\":true}"}}"#;
    let moved = r##"{"type":"redirect","redirectConfig":{"host":"new.example.com","path":"/#{path}","statusCode":"HTTP_302"}}"##;
    let with = |blue: u32| {
        let annotations = [
            ("actions.canary", split(blue)),
            ("actions.teapot", teapot.to_owned()),
            ("actions.moved", moved.to_owned()),
        ];
        let annotations: Vec<(&str, &str)> = annotations
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let given = [
            ("/canary", "canary:use-annotation"),
            ("/moved", "moved:use-annotation"),
            ("/teapot", "teapot:use-annotation"),
        ];
        ingress("web", &annotations, &[paths("", &given)])
    };
    scene.put("web.yaml", &[with(90)]);
    scene.edit("A canary and two answers");
    let action = |scene: &Scene, path: &str| {
        let rules = scene.raw_rules(&scene.listener());
        let rule = rules
            .iter()
            .find(|rule| rule["Conditions"].to_string().contains(path))
            .expect(path)
            .clone();
        only(rule["Actions"].clone())
    };
    let arn = |scene: &Scene, service: &str| scene.target_group(service)["TargetGroupArn"].clone();
    let weights = |scene: &Scene| {
        let forward = action(scene, "/canary")["ForwardConfig"].take();
        let of = |service: &str| {
            let arn = arn(scene, service);
            list(&forward["TargetGroups"])
                .iter()
                .find(|it| it["TargetGroupArn"] == arn)
                .expect("a target group")["Weight"]
                .clone()
        };
        json!([
            of("blue"),
            of("green"),
            forward["TargetGroupStickinessConfig"]
        ])
    };
    let sticky = json!({"Enabled": true, "DurationSeconds": 600});
    assert_eq!(weights(&scene), json!([90, 10, sticky]));
    assert_eq!(
        action(&scene, "/teapot")["FixedResponseConfig"],
        json!({"ContentType": "application/json", "StatusCode": "418", "MessageBody": "{\"short\":true}"})
    );
    assert_eq!(
        action(&scene, "/moved")["RedirectConfig"],
        json!({"Protocol": "#{protocol}", "Host": "new.example.com", "Port": "#{port}", "Path": "/#{path}", "Query": "#{query}", "StatusCode": "HTTP_302"})
    );
    scene.assert_settled();

    scene.put("web.yaml", &[with(50)]);
    let changed = scene.edit("Half and half");
    assert_eq!(elb_writes(&changed), ["ModifyRule"]);
    assert_eq!(weights(&scene), json!([50, 50, sticky]));
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn target_groups_of_others_a_default_backend_and_paths_as_expressions_are_served() {
    let (mut scene, _) = Scene::serving(&["app1", "rest"]);
    // What somebody else made, and keeps.
    let legacy = |name: &str| {
        let parameters = json!({"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": scene.bed.fact("/aws/vpc"), "TargetType": "ip"});
        let made = scene.bed.aws("elbv2", "CreateTargetGroup", parameters);
        text(&made["TargetGroups"][0]["TargetGroupArn"]).to_owned()
    };
    let (by_arn, by_name) = (legacy("legacy-arn"), legacy("legacy-name"));
    let seed = scene.bed.dump_with_ids()["aws"].take();
    let action = json!({"type": "forward", "forwardConfig": {"targetGroups": [
        {"targetGroupARN": by_arn, "weight": 3}, {"targetGroupName": "legacy-name", "weight": 1},
    ]}})
    .to_string();
    // LBC takes the first slash off an expression.
    let with = |annotations: &[(&str, &str)], expression: &str| {
        let mut all = vec![
            ("actions.legacy", action.as_str()),
            ("use-regex-path-match", "true"),
        ];
        all.extend(annotations);
        let mut made = ingress(
            "web",
            &all,
            &[paths(
                "",
                &[("=/old", "legacy:use-annotation"), ("=/", "app1")],
            )],
        );
        let path = &mut made["spec"]["rules"][0]["http"]["paths"][1];
        path["path"] = json!(expression);
        path["pathType"] = json!("ImplementationSpecific");
        made["spec"]["defaultBackend"] =
            json!({"service": {"name": "rest", "port": {"name": "web"}}});
        made
    };
    scene.put("web.yaml", &[with(&[], "/^/api/v[0-9]+/")]);
    scene.edit("Old and new");
    let listener = scene.listener();
    let arn_of = |groups: &Value| -> Vec<(String, Value)> {
        list(groups)
            .iter()
            .map(|it| (text(&it["TargetGroupArn"]).to_owned(), it["Weight"].clone()))
            .collect()
    };
    let default = only(listener["DefaultActions"].clone());
    let rest = text(&scene.target_group("rest")["TargetGroupArn"]).to_owned();
    assert_eq!(
        arn_of(&default["ForwardConfig"]["TargetGroups"]),
        [(rest, json!(1))]
    );
    let expressions = |scene: &Scene| -> Vec<Value> {
        scene
            .raw_rules(&scene.listener())
            .iter()
            .map(|rule| {
                condition_of(rule, "path-pattern")["PathPatternConfig"]["RegexValues"].clone()
            })
            .filter(|it| !it.is_null())
            .collect()
    };
    assert_eq!(expressions(&scene), [json!(["^/api/v[0-9]+/"])]);
    let rules = scene.raw_rules(&listener);
    let old = rules
        .iter()
        .find(|rule| rule["Conditions"].to_string().contains("/old"))
        .expect("a rule for /old");
    let mut found = arn_of(&only(old["Actions"].clone())["ForwardConfig"]["TargetGroups"]);
    found.sort_by_key(|(_, weight)| weight.as_u64());
    assert_eq!(found, [(by_name, json!(1)), (by_arn, json!(3))]);
    scene.assert_settled();

    // Both families of addresses, and another expression.
    scene.put(
        "web.yaml",
        &[with(&[("ip-address-type", "dualstack")], "/^/api/v[1-9]/")],
    );
    let changed = scene.edit("Both families");
    assert_eq!(
        elb_writes(&changed),
        ["CreateRule", "DeleteRule", "SetIpAddressType"]
    );
    assert_eq!(scene.balancer()["IpAddressType"], "dualstack");
    assert_eq!(expressions(&scene), [json!(["^/api/v[1-9]/"])]);
    let authorized = parameters(&changed, "ec2:AuthorizeSecurityGroupIngress");
    assert!(
        authorized.values().any(|value| value == "::/0"),
        "{authorized:#?}"
    );
    scene.assert_settled();
    // What others made is as it was.
    scene.assert_leaves_nothing(&seed);
}
