//! What is read after an edit of some files is what is read of all files anew, whatever the documents have to do with each
//! other.

use std::collections::BTreeSet;

use albsync::{
    id::RepoPath,
    manifest::{self, Checks, ParseOptions},
    source::Snapshot,
};
use proptest::prelude::*;

/// Documents that meet: in names, in groups, in classes and their parameters, in roles.
fn document() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ingress(),
        3 => service(),
        2 => class(),
        2 => params(),
        1 => other(),
    ]
}

fn ingress() -> impl Strategy<Value = String> {
    let annotations = prop::sample::subsequence(
        vec![
            "group.name: g",
            "group.name: h",
            "group.order: \"3\"",
            "enable-frontend-nlb: \"true\"",
            "frontend-nlb-scheme: internal",
            "frontend-nlb-listener-port-mapping: 80=8080",
            "security-groups: sg-1",
            "inbound-cidrs: 10.0.0.0/8",
            "manage-backend-security-group-rules: \"true\"",
            "wafv2-acl-name: acl",
            "wafv2-acl-arn: arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/a/b",
            "listen-ports: '[{\"HTTPS\":443}]'",
            "target-type: ip",
            "target-node-labels: a=b",
            "auth-scope: email",
            "target-control-port.app.80: \"3000\"",
            "actions.go: '{\"type\":\"forward\",\"forwardConfig\":{\"targetGroups\":[{\"serviceName\":\"back\",\"servicePort\":81}]}}'",
            "scheme: sideways",
            "schema: internal",
        ],
        0..5,
    );
    let class = prop::sample::select(vec!["", "ingressClassName: a", "ingressClassName: b"]);
    let backend = prop::sample::select(vec![
        "{name: app, port: {number: 80}}",
        "{name: back, port: {number: 81}}",
        "{name: back, port: {name: web}}",
        "{name: go, port: {name: use-annotation}}",
    ]);
    (annotations, class, backend, 0..2u8, any::<bool>(), any::<bool>()).prop_map(
        |(annotations, class, backend, name, is_other, is_tls)| {
            let mut keys = BTreeSet::new();
            let annotations: String = annotations
                .iter()
                .filter(|annotation| keys.insert(annotation.split(": ").next()))
                .map(|annotation| format!("    alb.ingress.kubernetes.io/{annotation}\n"))
                .collect();
            let annotations = match annotations.as_str() {
                "" => String::new(),
                annotations => format!("  annotations:\n{annotations}"),
            };
            let namespace = if is_other { "x-b" } else { "x" };
            let tls = if is_tls { "  tls: [{hosts: [a.example]}]\n" } else { "" };
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web-{name}\n  namespace: {namespace}\n{annotations}spec:\n  {class}\n{tls}  rules:\n  - http:\n      paths:\n      - {{path: /, pathType: Prefix, backend: {{service: {backend}}}}}\n"
            )
        },
    )
}

fn service() -> impl Strategy<Value = String> {
    let annotation = prop::sample::select(vec![
        "{}",
        "{}",
        "{alb.ingress.kubernetes.io/target-type: ip}",
        "{alb.ingress.kubernetes.io/target-control-port.app.80: \"3000\"}",
        "{alb.ingress.kubernetes.io/auth-type: oidc}",
    ]);
    let kind = prop::sample::select(vec!["NodePort", "ClusterIP"]);
    let name = prop::sample::select(vec!["app", "back"]);
    (name, any::<bool>(), kind, annotation, 80..82u16).prop_map(
        |(name, is_other, kind, annotations, port)| {
            let namespace = if is_other { "x-b" } else { "x" };
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}\nspec: {{type: {kind}, ports: [{{port: {port}}}]}}\n"
            )
        },
    )
}

fn class() -> impl Strategy<Value = String> {
    let parameters = prop::sample::select(vec![
        "",
        "  parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: p}\n",
    ]);
    let controller = prop::sample::select(vec!["ingress.k8s.aws/alb", "example.com/other"]);
    let name = prop::sample::select(vec!["a", "b"]);
    (name, any::<bool>(), controller, parameters).prop_map(
        |(name, is_default, controller, parameters)| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}, annotations: {{ingressclass.kubernetes.io/is-default-class: \"{is_default}\"}}}}\nspec:\n  controller: {controller}\n{parameters}"
            )
        },
    )
}

fn params() -> impl Strategy<Value = String> {
    let spec = prop::sample::select(vec![
        "{}",
        "{targetType: ip}",
        "{group: {name: g}}",
        "{scheme: internal, inboundCIDRs: [10.0.0.0/8]}",
        "{certificateArn: [arn:aws:acm:eu-central-1:123456789012:certificate/a]}",
    ]);
    spec.prop_map(|spec| {
        format!(
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: IngressClassParams\nmetadata: {{name: p}}\nspec: {spec}\n"
        )
    })
}

fn other() -> impl Strategy<Value = String> {
    let role = |name: &str, account: &str, role: &str| {
        format!(
            "apiVersion: albsync.dev/v1alpha1\nkind: IAMServiceAccount\nmetadata: {{name: {name}, namespace: x}}\nspec:\n  serviceAccount: {{name: {account}}}\n  role: {{name: {role}}}\n  policies: {{attach: [arn:aws:iam::aws:policy/ReadOnlyAccess]}}\n"
        )
    };
    prop::sample::select(vec![
        role("one", "one", "role"),
        role("two", "two", "ROLE"),
        role("three", "one", "third"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {a: one}}\n".to_owned(),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {a: two}}\n".to_owned(),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: x}\nstringData: {a: b}\n"
            .to_owned(),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: x}\nstringData: {c: d}\n"
            .to_owned(),
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: one, namespace: x}\n".to_owned(),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: 1}\n".to_owned(),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n- &a {apiVersion: v1, kind: ConfigMap, metadata: {name: m}}\n- *a\n"
            .to_owned(),
    ])
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(document(), 0..4).prop_map(|documents| documents.join("---\n"))
}

/// So many more documents that lists are no longer gone over as a whole after a small change.
fn fillers(count: usize) -> impl Iterator<Item = (RepoPath, String)> {
    (0..count).map(|number| {
        let path = RepoPath::new(format!("a/m-{number}.yaml"));
        let text = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: m-{number}, namespace: x, annotations: {{alb.ingress.kubernetes.io/group.name: g}}}}\nspec: {{defaultBackend: {{service: {{name: app, port: {{number: 80}}}}}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: m-{number}, namespace: x}}\nspec: {{type: NodePort, ports: [{{port: 80}}]}}\n"
        );
        (path, text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_after_edits_is_what_is_read_anew(
        fill in prop_oneof![3 => Just(0), 1 => Just(40)],
        commits in prop::collection::vec(
            prop::collection::btree_map(0..5u8, prop::option::weighted(0.8, text()), 1..4),
            1..7,
        ),
        lbc in any::<bool>(),
        watched in prop::sample::select(vec![vec!["."], vec!["a", "b/1.yaml"]]),
    ) {
        let options = ParseOptions {
            checks: if lbc { Checks::Lbc } else { Checks::Strict },
            watched: watched.into_iter().map(RepoPath::from).collect(),
            ..ParseOptions::default()
        };
        let mut snapshot = Snapshot::default();
        for (path, text) in fillers(fill) {
            snapshot.files.insert(path, text.into_bytes().into());
        }
        let mut cache = manifest::Cache::default();
        manifest::parse_changed(&snapshot, &options, &mut cache);
        for edits in commits {
            for (number, text) in edits {
                let directory = ["a", "b"][usize::from(number % 2)];
                let path = RepoPath::new(format!("{directory}/{number}.yaml"));
                match text {
                    Some(text) => {
                        snapshot.files.insert(path, text.into_bytes().into());
                    }
                    None => {
                        snapshot.files.remove(&path);
                    }
                }
            }
            let again = manifest::parse_changed(&snapshot, &options, &mut cache);
            let anew = manifest::parse(&snapshot, &options);
            prop_assert_eq!(format!("{again:#?}"), format!("{anew:#?}"));
        }
    }
}
