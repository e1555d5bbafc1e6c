//! Several listeners, HTTPS with certificates named and found, the redirect to it, and clients' certificates
//! (ingress-model §4, aws-deploy §2.2–2.3).

use std::process::Command;

use serde_json::json;

use super::served::{elb_writes, ingress, parameters, paths};
use super::*;

const TLS_POLICY: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/// A certificate in ACM for these names, the first of which is its domain; its ARN.
pub(super) fn certificate(scene: &Scene, names: &[&str]) -> String {
    let file = |end: &str| scene.bed.path().join(format!("certificate.{end}"));
    let sans: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
        ])
        .args(["-subj", &format!("/CN={}", names[0])])
        .args(["-addext", &format!("subjectAltName={}", sans.join(","))])
        .arg("-keyout")
        .arg(file("key"))
        .arg("-out")
        .arg(file("pem"))
        .output()
        .expect("openssl runs");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let read = |end: &str| std::fs::read_to_string(file(end)).expect("what openssl wrote");
    let parameters = json!({"Certificate": read("pem"), "PrivateKey": read("key")});
    let mut imported = scene.bed.aws("acm", "ImportCertificate", parameters);
    text(&imported["CertificateArn"].take()).to_owned()
}

/// The certificates that a listener offers: the default, then the others sorted.
fn offered(scene: &Scene, listener: &Value) -> (String, Vec<String>) {
    let arn = json!({"ListenerArn": listener["ListenerArn"]});
    let all = scene.bed.aws("elbv2", "DescribeListenerCertificates", arn);
    let of = |default: bool| -> Vec<String> {
        list(&all["Certificates"])
            .iter()
            .filter(|it| it["IsDefault"] == default)
            .map(|it| text(&it["CertificateArn"]).to_owned())
            .collect()
    };
    let mut others = of(false);
    others.sort();
    (of(true).remove(0), others)
}

#[test]
fn https_offers_the_named_certificates_in_their_order_and_http_redirects_to_it() {
    let (mut scene, seed) = Scene::serving(&["app1"]);
    let [a, b, c] =
        ["a", "b", "c"].map(|name| certificate(&scene, &[&format!("{name}.example.com")]));
    let with = |ports: &str, certificates: &str, policy: &str| {
        let annotations = [
            ("listen-ports", ports),
            ("certificate-arn", certificates),
            ("ssl-policy", policy),
            ("ssl-redirect", "443"),
        ];
        ingress("web", &annotations, &[paths("", &[("/", "app1")])])
    };
    let three = r#"[{"HTTP":80},{"HTTPS":443},{"HTTPS":8443}]"#;
    scene.put("web.yaml", &[with(three, &format!("{b}, {a}"), TLS_POLICY)]);
    scene.edit("Serve the web");

    let listeners = scene.listeners();
    assert_eq!(
        listeners.keys().copied().collect::<Vec<_>>(),
        [80, 443, 8443]
    );
    let redirect = only(listeners[&80]["DefaultActions"].clone());
    assert_eq!(
        redirect["RedirectConfig"],
        json!({
            "Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}",
            "StatusCode": "HTTP_301",
        })
    );
    assert_eq!(listeners[&80]["Protocol"], "HTTP");
    assert_eq!(
        scene.raw_rules(&listeners[&80]),
        [json!(null); 0],
        "nothing but the redirect"
    );
    for port in [443, 8443] {
        let listener = &listeners[&port];
        assert_eq!(listener["Protocol"], "HTTPS");
        assert_eq!(listener["SslPolicy"], TLS_POLICY);
        assert_eq!(
            offered(&scene, listener),
            (b.clone(), vec![a.clone()]),
            "the first is the default"
        );
        assert_eq!(
            list(&listener["DefaultActions"])[0]["FixedResponseConfig"]["StatusCode"],
            "404"
        );
        assert_eq!(scene.raw_rules(listener).len(), 1);
    }
    let group = list(&scene.balancer()["SecurityGroups"])
        .iter()
        .map(text)
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let described = scene
        .bed
        .aws("ec2", "DescribeSecurityGroups", json!({"GroupIds": group}));
    let managed = list(&described["SecurityGroups"])
        .iter()
        .find(|it| text(&it["GroupName"]).starts_with("k8s-default-web-"))
        .expect("the group's own security group");
    assert_eq!(
        scene.admitted(managed),
        ["443 0.0.0.0/0", "80 0.0.0.0/0", "8443 0.0.0.0/0"]
    );
    scene.assert_settled();

    // Another default beside a third one, on both listeners.
    scene.put("web.yaml", &[with(three, &format!("{c}, {b}"), TLS_POLICY)]);
    let changed = scene.edit("Renew a certificate");
    for port in [443, 8443] {
        assert_eq!(
            offered(&scene, &scene.listeners()[&port]),
            (c.clone(), vec![b.clone()])
        );
    }
    assert_eq!(
        elb_writes(&changed),
        [
            "AddListenerCertificates",
            "AddListenerCertificates",
            "ModifyListener",
            "ModifyListener",
            "RemoveListenerCertificates",
            "RemoveListenerCertificates"
        ]
    );
    scene.assert_settled();

    // One port less, another policy.
    let two = r#"[{"HTTP":80},{"HTTPS":443}]"#;
    scene.put(
        "web.yaml",
        &[with(
            two,
            &format!("{c}, {b}"),
            "ELBSecurityPolicy-TLS13-1-3-2021-06",
        )],
    );
    let changed = scene.edit("Close a port and old TLS");
    assert_eq!(elb_writes(&changed), ["DeleteListener", "ModifyListener"]);
    assert_eq!(
        changed.count("ec2:RevokeSecurityGroupIngress"),
        1,
        "{}",
        changed.render()
    );
    let sent = parameters(&changed, "elasticloadbalancing:ModifyListener");
    assert_eq!(sent["SslPolicy"], "ELBSecurityPolicy-TLS13-1-3-2021-06");
    assert_eq!(
        scene.listeners()[&443]["SslPolicy"],
        "ELBSecurityPolicy-TLS13-1-3-2021-06"
    );
    scene.assert_settled();
    scene.assert_leaves_nothing(&seed);
}

#[test]
fn https_finds_certificates_by_host_and_passes_clients_certificates_on() {
    let (mut scene, seed) = Scene::serving(&["app1"]);
    let shop = certificate(&scene, &["shop.example.com"]);
    let wildcard = certificate(&scene, &["*.example.org", "example.org"]);
    certificate(&scene, &["elsewhere.example.net"]);
    let with = |hosts: &[&str], mutual: &str| {
        let rules: Vec<Value> = hosts
            .iter()
            .map(|host| paths(host, &[("/", "app1")]))
            .collect();
        let annotations = [
            ("listen-ports", r#"[{"HTTPS":443}]"#),
            ("mutual-authentication", mutual),
        ];
        ingress("web", &annotations, &rules)
    };
    let passed = r#"[{"port":443,"mode":"passthrough"}]"#;
    scene.put("web.yaml", &[with(&["shop.example.com"], passed)]);
    scene.edit("Serve the shop");
    let listener = scene.listeners()[&443].clone();
    assert_eq!(offered(&scene, &listener), (shop.clone(), Vec::new()));
    assert_eq!(listener["MutualAuthentication"]["Mode"], "passthrough");
    scene.assert_settled();

    let arn = listener["ListenerArn"].clone();
    scene.put(
        "web.yaml",
        &[with(&["shop.example.com", "www.example.org"], passed)],
    );
    let changed = scene.edit("Serve another name");
    let listener = scene.listeners()[&443].clone();
    assert_eq!(listener["ListenerArn"], arn);
    let (default, others) = offered(&scene, &listener);
    let mut all = vec![default];
    all.extend(others);
    all.sort();
    let mut expected = vec![shop.clone(), wildcard];
    expected.sort();
    assert_eq!(all, expected);
    assert_eq!(changed.count("elasticloadbalancing:CreateRule"), 1);
    scene.assert_settled();

    let off = r#"[{"port":443,"mode":"off"}]"#;
    scene.put("web.yaml", &[with(&["shop.example.com"], off)]);
    let changed = scene.edit("Serve the shop alone, to anyone");
    let listener = scene.listeners()[&443].clone();
    assert_eq!(offered(&scene, &listener), (shop, Vec::new()));
    assert_eq!(listener["MutualAuthentication"]["Mode"], "off");
    assert_eq!(
        changed.count("elasticloadbalancing:ModifyListener"),
        1,
        "{}",
        changed.render()
    );
    scene.assert_settled();

    // A host without a certificate in ACM is a problem of the commit, and nothing is touched.
    let (mark, audited) = (scene.bed.proxy.mark(), scene.audit().len());
    scene.put("web.yaml", &[with(&["nobody.example.info"], off)]);
    let commit = scene.repo.commit_and_push("A name without a certificate");
    let status = scene.rejected(&commit);
    assert!(
        status["problems"]
            .to_string()
            .contains("nobody.example.info"),
        "{status:#}"
    );
    scene.assert_changed_nothing(mark, audited);
    scene.assert_leaves_nothing(&seed);
}
