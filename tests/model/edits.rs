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

/// One document of every kind, most of which share their names with those of the next file: too many for one by one where
/// more than a few dozen files change at once.
fn one_of_each(number: usize, variant: u8) -> String {
    let (pair, half) = (number / 2, number / 40);
    let kind = ["NodePort", "ClusterIP"][usize::from(variant % 2)];
    let controller = ["ingress.k8s.aws/alb", "example.com/other"][usize::from(variant % 2)];
    [
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: m-{pair}, namespace: x, annotations: {{alb.ingress.kubernetes.io/group.name: g-{half}, alb.ingress.kubernetes.io/inbound-cidrs: 10.{variant}.0.0/16}}}}\nspec: {{ingressClassName: c-{half}, defaultBackend: {{service: {{name: m-{pair}, port: {{number: 80}}}}}}}}\n"
        ),
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: m-{pair}, namespace: x}}\nspec: {{type: {kind}, ports: [{{port: 8{variant}}}]}}\n"
        ),
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: c-{number}}}\nspec:\n  controller: {controller}\n  parameters: {{apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: p-{pair}}}\n"
        ),
        format!(
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: IngressClassParams\nmetadata: {{name: p-{pair}}}\nspec: {{group: {{name: h-{variant}}}}}\n"
        ),
        format!(
            "apiVersion: albsync.dev/v1alpha1\nkind: IAMServiceAccount\nmetadata: {{name: i-{pair}, namespace: x}}\nspec:\n  serviceAccount: {{name: s-{pair}}}\n  role: {{name: role-{pair}-{variant}}}\n  policies: {{attach: [arn:aws:iam::aws:policy/ReadOnlyAccess]}}\n"
        ),
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: s-{pair}, namespace: x}}\n"),
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: n-{pair}, labels: {{a: v{variant}}}}}\n"),
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s-{pair}, namespace: x}}\nstringData: {{k{variant}: b}}\n"),
    ]
    .join("---\n")
}

/// All files of a range as one variant, or none of them.
type Bulk = (std::ops::Range<usize>, Option<u8>);

fn bulk() -> impl Strategy<Value = Bulk> {
    let range = (0..40usize, 70..100usize).prop_map(|(start, end)| start..end);
    let few = (0..90usize, 1..4usize).prop_map(|(start, count)| start..start + count);
    let range = prop_oneof![3 => range, 1 => few];
    (range, prop::option::weighted(0.7, 0..3u8))
}

/// Makes the commits and compares after each what is kept with what is read anew.
fn stays_equal(bulks: &[Bulk], options: &ParseOptions) -> Result<(), TestCaseError> {
    let mut snapshot = Snapshot::default();
    let mut cache = manifest::Cache::default();
    for (range, variant) in bulks {
        for number in range.clone() {
            let path = RepoPath::new(format!("a/{number}.yaml"));
            match variant {
                Some(variant) => {
                    let text = one_of_each(number, *variant);
                    snapshot.files.insert(path, text.into_bytes().into());
                }
                None => {
                    snapshot.files.remove(&path);
                }
            }
        }
        let again = manifest::parse_changed(&snapshot, options, &mut cache);
        let anew = manifest::parse(&snapshot, options);
        prop_assert!(
            format!("{again:?}") == format!("{anew:?}"),
            "{bulks:?}: differs after {range:?} became {variant:?}"
        );
    }
    Ok(())
}

#[test]
fn what_is_read_after_many_files_came_or_went_is_what_is_read_anew() {
    let bulks: [Bulk; 9] = [
        (0..3, Some(0)),
        (0..90, Some(0)),
        (10..85, Some(1)),
        (4..6, None),
        (7..80, None),
        (0..99, Some(2)),
        (98..99, Some(0)),
        (1..99, None),
        (0..99, None),
    ];
    for checks in [Checks::Strict, Checks::Lbc] {
        let options = ParseOptions {
            checks,
            ..ParseOptions::default()
        };
        stays_equal(&bulks, &options).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_or_goes_in_bulk_is_read_as_anew(bulks in prop::collection::vec(bulk(), 2..6)) {
        stays_equal(&bulks, &ParseOptions::default())?;
    }
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
