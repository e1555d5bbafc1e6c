use super::*;
use crate::manifest::tests::{CLASS, good, printed, read};

fn ingress(class: &str, port: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\nspec:\n  ingressClassName: {class}\n  rules:\n  - http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: s\n            port: {{{port}}}\n"
    )
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  type: NodePort\n  ports: [{name: http, port: 80}, {name: admin, port: 81}]\n";

#[test]
fn a_port_that_the_service_lacks_is_answered_with_those_it_has() {
    let table = [
        (
            "number: 8080",
            "a.yaml:15:28: problem[service-port]: Ingress default/a: the Service default/s has no port 8080; it has 80 (http), 81 (admin) (see also s.yaml:1:1)",
        ),
        (
            "name: web",
            "a.yaml:15:26: problem[service-port]: Ingress default/a: the Service default/s has no port web; it has 80 (http), 81 (admin) (see also s.yaml:1:1)",
        ),
    ];
    for (port, wanted) in table {
        let text = ingress("aws", port);
        assert_eq!(
            printed(&[("a.yaml", &text), ("c.yaml", CLASS), ("s.yaml", SERVICE)]),
            [wanted]
        );
        // Another's Ingress: its controller may do what it likes. One of an unknown class waits.
        let other = CLASS.replace("ingress.k8s.aws/alb", "example.com/other");
        assert_eq!(
            printed(&[("a.yaml", &text), ("c.yaml", &other), ("s.yaml", SERVICE)]),
            [""; 0]
        );
        let waiting = read(&[("a.yaml", &text), ("s.yaml", SERVICE)]);
        assert_eq!(waiting.problems, []);
        assert_eq!(waiting.value.ingresses[0].deferred[0].to_string(), wanted);
    }
    for port in ["number: 81", "name: admin"] {
        good(&[
            ("a.yaml", &ingress("aws", port)),
            ("c.yaml", CLASS),
            ("s.yaml", SERVICE),
        ]);
    }
}

#[test]
fn a_service_that_git_lacks_is_left_to_the_facts() {
    good(&[("a.yaml", &ingress("aws", "number: 80")), ("c.yaml", CLASS)]);
}

/// As the model takes it: what is told of the Ingress is told of that one.
#[test]
fn of_two_services_of_one_name_the_first_counts() {
    let less = SERVICE.replace(", {name: admin, port: 81}", "");
    let codes = |first: &str, second: &str| {
        let text = ingress("aws", "number: 81");
        let read = read(&[
            ("a.yaml", &text),
            ("c.yaml", CLASS),
            ("s.yaml", first),
            ("t.yaml", second),
        ]);
        let codes = read.problems.iter().map(|it| it.code.clone());
        codes.collect::<Vec<_>>()
    };
    assert_eq!(codes(SERVICE, &less), ["duplicate-object"]);
    assert_eq!(codes(&less, SERVICE), ["service-port", "duplicate-object"]);
}

#[test]
fn instance_targets_need_node_ports() {
    let service = SERVICE.replace("  type: NodePort\n", "");
    assert_eq!(
        printed(&[
            ("a.yaml", &ingress("aws", "number: 80")),
            ("c.yaml", CLASS),
            ("s.yaml", &service)
        ]),
        [
            "a.yaml:14:19: problem[node-port]: Ingress default/a: the Service default/s is of type ClusterIP, and instance targets need node ports; write spec.type: NodePort on the Service (see also s.yaml:1:1)"
        ]
    );
}

/// Of two classes one has its targets' type from parameters.
#[test]
fn node_ports_are_left_out_only_where_the_class_itself_asks_for_addresses() {
    let service = SERVICE.replace("  type: NodePort\n", "");
    let of_class = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: pods}\nspec:\n  controller: ingress.k8s.aws/alb\n  parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: pods}\n";
    let params = |target_type: &str| {
        format!(
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: IngressClassParams\nmetadata: {{name: pods}}\nspec: {{targetType: {target_type}}}\n"
        )
    };
    let (plain, pods) = (ingress("aws", "number: 80"), ingress("pods", "number: 80"));
    let pods = pods.replace("name: a\n", "name: b\n");
    let told = |params: Option<&str>| {
        let mut files = vec![
            ("a.yaml", plain.as_str()),
            ("b.yaml", pods.as_str()),
            ("c.yaml", CLASS),
            ("d.yaml", of_class),
            ("s.yaml", service.as_str()),
        ];
        files.extend(params.map(|text| ("p.yaml", text)));
        let names = printed(&files)
            .into_iter()
            .map(|line| line.split(':').next().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(told(Some(&params("ip"))), ["a.yaml"]);
    assert_eq!(told(Some(&params("instance"))), ["a.yaml", "b.yaml"]);
    assert_eq!(told(None), ["a.yaml"], "the cluster's parameters decide");
}

#[test]
fn every_check_is_documented_and_named_by_a_code() {
    for check in checks() {
        assert!(codes::code(check.name).is_some(), "{}", check.name);
        assert!(
            check.doc.ends_with('.') || check.doc.ends_with(')'),
            "{}",
            check.name
        );
    }
}
