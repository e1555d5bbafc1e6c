//! What the other modules' tests share, and the reading of whole snapshots.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// A snapshot of these files.
pub(super) fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    Snapshot {
        commit: None,
        files: files
            .iter()
            .map(|(path, text)| (RepoPath::from(*path), text.as_bytes().to_vec().into()))
            .collect(),
    }
}

pub(super) fn read(files: &[(&str, &str)]) -> Checked<Manifests> {
    parse(&snapshot(files), &ParseOptions::default())
}

/// The problems of one file `a.yaml` beside [`CLASS`], as they are printed.
pub(super) fn problems(text: &str) -> Vec<String> {
    printed(&[("a.yaml", text), ("class.yaml", CLASS)])
}

pub(super) fn printed(files: &[(&str, &str)]) -> Vec<String> {
    read(files)
        .problems
        .iter()
        .map(Problem::to_string)
        .collect()
}

pub(super) fn good(files: &[(&str, &str)]) -> Manifests {
    let read = read(files);
    assert_eq!(read.problems, []);
    read.value
}

pub(super) const CLASS: &str = "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: aws
spec:
  controller: ingress.k8s.aws/alb
";

const TUTORIAL: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app-aws-ingress
  annotations:
    alb.ingress.kubernetes.io/scheme: internet-facing
spec:
  ingressClassName: aws
  rules:
  - host: sample-app.mamezou-tech.com
    http:
      paths:
      - path: /app1
        pathType: Prefix
        backend:
          service:
            name: app1
            port:
              number: 80
      - path: /app2
        pathType: Prefix
        backend:
          service:
            name: app2
            port:
              number: 80
---
apiVersion: v1
kind: Service
metadata:
  name: app1
spec:
  type: NodePort
  selector:
    app: app1
  ports:
  - name: http
    port: 80
    targetPort: http
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app1
spec:
  replicas: 2
---
apiVersion: example.com/v1
kind: Widget
metadata:
  name: w
";

#[test]
fn the_tutorial_is_read_whole() {
    let manifests = good(&[("a/tutorial.yaml", TUTORIAL), ("class.yaml", CLASS)]);
    let kinds: Vec<String> = manifests
        .objects
        .iter()
        .map(|object| object.reference.to_string())
        .collect();
    assert_eq!(
        kinds,
        [
            "Service default/app1",
            "Deployment default/app1",
            "Widget w",
            "Ingress default/app-aws-ingress",
            "IngressClass aws",
        ]
    );
    assert_eq!(
        manifests.objects[0].body.value()["metadata"]["namespace"],
        "default"
    );
    assert_eq!(
        manifests.objects[2].body.value()["metadata"].get("namespace"),
        None
    );
    let ingress = &manifests.ingresses[0];
    assert_eq!(ingress.key(), "default/app-aws-ingress");
    assert_eq!(
        ingress
            .options
            .load_balancer
            .scheme
            .as_ref()
            .unwrap()
            .good(),
        Some(&annotation::Scheme::InternetFacing)
    );
    let path = &ingress.rules[0].paths[1];
    assert_eq!(path.path, "/app2");
    assert_eq!(path.origin, Origin::new("a/tutorial.yaml", 20, 15));
    assert_eq!(
        path.backend.value,
        Backend::Service {
            name: "app2".to_owned(),
            port: ingress::PortRef::Number(80)
        }
    );
    let service = &manifests.services[0];
    assert_eq!(service.service_type, "NodePort");
    assert_eq!(
        service.ports[0].target_port,
        ingress::PortRef::Name("http".to_owned())
    );
}

#[test]
fn the_example_of_the_repository_has_no_problems() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tutorial");
    let mut files = Snapshot::default();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        files
            .files
            .insert(RepoPath::new(name), std::fs::read(&path).unwrap().into());
    }
    for named in named_files(&files) {
        assert!(files.files.contains_key(&named), "{named}");
    }
    let read = parse(&files, &ParseOptions::default());
    assert_eq!(read.problems, []);
    assert_eq!(read.value.ingresses.len(), 1);
    assert_eq!(read.value.iam_service_accounts.len(), 1);
}

#[test]
fn objects_are_counted_by_watched_path_and_others_are_not_read() {
    let object =
        |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
    let (a, b, c) = (object("a"), object("b"), object("c"));
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}\n",
        object("d").replace('\n', "\n  ").trim_end()
    );
    let snapshot = snapshot(&[
        ("prod/a.yaml", &a),
        ("prod/b.yml", &b),
        ("prod/deep/list.yaml", &list),
        ("production/c.yaml", &c),
        ("prod/readme.md", "{{"),
        ("other/broken.yaml", "{{"),
    ]);
    let options = ParseOptions {
        watched: vec!["prod/".into(), "empty".into()],
        ..ParseOptions::default()
    };
    let read = parse(&snapshot, &options);
    assert_eq!(read.problems, []);
    assert_eq!(read.value.objects.len(), 3);
    assert_eq!(read.value.watched[&RepoPath::from("prod/")], 3);
    assert_eq!(read.value.watched[&RepoPath::from("empty")], 0);
}

#[test]
fn each_document_defect_has_its_place() {
    let table = [
        (
            "- a\n",
            "a.yaml:1:1: problem[not-an-object]: this document is no Kubernetes object; it must be a mapping with apiVersion, kind and metadata",
        ),
        (
            "kind: Service\nmetadata: {name: a}\n",
            "a.yaml:1:1: problem[not-an-object]: this document has no apiVersion",
        ),
        (
            "apiversion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
            "a.yaml:1:1: problem[not-an-object]: this document has no apiVersion; did you mean \"apiVersion\"?",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\n",
            "a.yaml:1:1: problem[not-an-object]: ConfigMap: metadata is missing",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  generateName: a-\n",
            "a.yaml:4:3: problem[not-an-object]: ConfigMap: this object has no name; a generated name cannot be converged: write metadata.name",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: A_b\n",
            "a.yaml:4:9: problem[bad-name]: ConfigMap default/A_b: metadata.name cannot be \"A_b\"; up to 253 lower-case letters, digits, `-` and `.`, each part beginning and ending with a letter or digit",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: 5\n",
            "a.yaml:4:9: problem[wrong-type]: ConfigMap: metadata.name must be text, not `5`; put it in quotes",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: Ingres\nmetadata: {name: a}\n",
            "a.yaml:2:7: problem[unknown-kind]: Ingres a: there is no Ingres in networking.k8s.io/v1; did you mean \"Ingress\"?",
        ),
        (
            "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
            "a.yaml:1:13: problem[obsolete-api]: Ingress a: Ingress of extensions/v1beta1 is not served; write networking.k8s.io/v1; backends have another form there",
        ),
        (
            "apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
            "a.yaml:1:13: problem[obsolete-api]: Ingress default/a: Ingress of networking.k8s.io/v1beta1 is not served; write networking.k8s.io/v1",
        ),
        (
            "apiVersion: networking.k8s.oi/v1\nkind: Ingress\nmetadata: {name: a}\n",
            "a.yaml:1:13: problem[unknown-kind]: Ingress a: there is no Ingress in the API group networking.k8s.oi; did you mean \"networking.k8s.io\"?",
        ),
        (
            "apiVersion: v1\nkind: Ingress\nmetadata: {name: a}\n",
            "a.yaml:1:13: problem[unknown-kind]: Ingress a: there is no Ingress in v1; Ingress belongs to networking.k8s.io",
        ),
        (
            "apiVersion: v1\nkind: service\nmetadata: {name: a}\n",
            "a.yaml:2:7: problem[unknown-kind]: service a: there is no service in v1; did you mean \"Service\"?",
        ),
        (
            "apiVersion: albsync.dev/v1alpha1\nkind: IAMServiceAcount\nmetadata: {name: a}\n",
            "a.yaml:2:7: problem[unknown-kind]: IAMServiceAcount a: there is no IAMServiceAcount in albsync.dev/v1alpha1; did you mean \"IAMServiceAccount\"?",
        ),
        (
            "apiVersion: albsync.dev/v1\nkind: IAMServiceAccount\nmetadata: {name: a}\nspec: {}\n",
            "a.yaml:1:13: problem[obsolete-api]: IAMServiceAccount default/a: IAMServiceAccount of albsync.dev/v1 is not served; write albsync.dev/v1alpha1",
        ),
        (
            "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a}\n",
            "a.yaml:2:7: problem[not-served]: ClusterConfig a: eksctl's ClusterConfig is not served yet",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  anotations: {}\n",
            "a.yaml:5:3: problem[unknown-field]: ConfigMap default/a: there is no field metadata.anotations; did you mean \"annotations\"?",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    x: 5\n",
            "a.yaml:6:8: problem[wrong-type]: ConfigMap default/a: metadata.annotations.x must be text, not `5`; put it in quotes",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    x: on\n",
            "a.yaml:6:8: problem[wrong-type]: ConfigMap default/a: metadata.annotations.x must be text, not `on`; put it in quotes",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    x: 12:30\n",
            "a.yaml:6:8: problem[yaml-ambiguous]: ConfigMap default/a: metadata.labels.x is written as `12:30`, which some readers of YAML take for a number; put it in quotes",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    albsync.dev/prnue: disabled\n",
            "a.yaml:6:5: problem[unknown-annotation]: ConfigMap default/a: nothing reads the annotation albsync.dev/prnue here; did you mean \"prune\"?",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    albsync.dev/prune: \"true\"\n",
            "a.yaml:6:24: problem[bad-annotation]: ConfigMap default/a: the annotation albsync.dev/prune cannot be \"true\"; its value is \"disabled\"",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    albsnyc.dev/prune: disabled\n",
            "a.yaml:6:5: problem[unknown-annotation]: ConfigMap default/a: the annotation albsnyc.dev/prune is near one of ours and not read; did you mean \"albsync.dev/prune\"?",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  port: 80\n",
            "a.yaml:6:9: problem[wrong-type]: ConfigMap default/a: data.port must be text, not `80`; put it in quotes",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    nam: a\n",
            "a.yaml:7:5: problem[unknown-field]: ConfigMap: there is no field metadata.nam; did you mean \"name\"?",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: b}\nspec:\n  controller: ingress.k8s.aws/abl\n",
            "a.yaml:5:15: problem[odd-controller]: IngressClass b: spec.controller is \"ingress.k8s.aws/abl\"; did you mean \"ingress.k8s.aws/alb\"?",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: b}\nspec:\n  controller: ingress.k8s.aws/alb\n  parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: p, scope: Clusters}\n",
            "a.yaml:6:83: problem[bad-value]: IngressClass b: spec.parameters.scope cannot be \"Clusters\"; it is one of Cluster, Namespace",
        ),
        (
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: IngressClassParams\nmetadata: {name: b}\nspec:\n  scheme: public\n",
            "a.yaml:5:11: problem[bad-value]: IngressClassParams b: spec.scheme cannot be \"public\"; it is one of internal, internet-facing",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nkind: Secret\n",
            "a.yaml:4:1: problem[yaml-duplicate-key]: the key \"kind\" stands twice in one mapping; keep one of them; is a `---` missing? (see also a.yaml:2:1)",
        ),
    ];
    for (text, wanted) in table {
        let found = problems(text);
        assert!(
            found.iter().any(|found| found == wanted),
            "wanted {wanted}\nfound {found:#?}"
        );
    }
}

#[test]
fn annotations_have_no_more_bytes_than_kubernetes_takes() {
    let of = |bytes: usize| {
        let value = "x".repeat(bytes - "key".len());
        problems(&format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    key: {value}\n"
        ))
    };
    assert_eq!(of(262_144), [""; 0]);
    assert_eq!(
        of(262_145),
        [
            "a.yaml:5:3: problem[bad-value]: ConfigMap default/a: metadata.annotations have 262145 bytes, keys and values together; Kubernetes takes 262144 bytes at most"
        ]
    );
}

#[test]
fn a_namespace_on_a_cluster_scoped_kind_is_dropped_with_a_warning() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  namespace: b\n  labels: {x: \"1\"}\n";
    let read = read(&[("a.yaml", text)]);
    assert!(!read.is_rejected());
    assert_eq!(
        read.problems[0].to_string(),
        "a.yaml:5:14: warning[bad-value]: Namespace a: Namespace has no namespace; metadata.namespace is dropped"
    );
    assert_eq!(
        read.value.objects[0].body.value()["metadata"].get("namespace"),
        None
    );
    assert_eq!(read.value.namespaces["a"]["x"], "1");
}

#[test]
fn an_object_defined_twice_names_both_places() {
    let a = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: a\n";
    let b =
        "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata:\n  name: a\n  namespace: default\n";
    let wanted = [
        "b.yaml:1:1: problem[duplicate-object]: Deployment default/a: this object is defined twice; keep one of the documents (see also a.yaml:1:1)",
    ];
    assert_eq!(printed(&[("a.yaml", a), ("b.yaml", b)]), wanted);
    assert_eq!(
        printed(&[("a.yaml", a), ("b.yaml", &b.replace("default", "other"))]),
        [""; 0]
    );
}

#[test]
fn no_value_of_a_secret_is_ever_shown() {
    let texts = [
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  annotations: {x: hunter2, albsync.dev/prune: hunter2, y: 4223}\ndata:\n  p: 4223\nstringData:\n  q: [hunter2]\n  r: 42:23\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: hunter2\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {p: hunter2!}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  p: \"hunter2\n",
    ];
    for text in texts {
        let found = problems(text);
        assert!(!found.is_empty());
        for problem in found {
            for value in ["hunter2", "4223", "42:23"] {
                assert!(!problem.contains(value), "{problem}");
            }
        }
    }
}

#[test]
fn checks_are_lowered_only_where_they_may_be() {
    let text = TUTORIAL.replace("/scheme: internet-facing", "/shceme: internal")
        + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: B}\n";
    let options = ParseOptions {
        lowered: [codes::UNKNOWN_ANNOTATION, codes::BAD_NAME]
            .map(str::to_owned)
            .into(),
        ..ParseOptions::default()
    };
    let read = parse(
        &snapshot(&[("a.yaml", &text), ("class.yaml", CLASS)]),
        &options,
    );
    let found: Vec<(&str, Severity)> = read
        .problems
        .iter()
        .map(|problem| (problem.code.as_str(), problem.severity))
        .collect();
    assert_eq!(
        found,
        [
            (codes::UNKNOWN_ANNOTATION, Severity::Warning),
            (codes::BAD_NAME, Severity::Problem)
        ]
    );
}

#[test]
fn files_that_policies_name_are_found_and_stay_in_the_repository() {
    let text = "apiVersion: albsync.dev/v1alpha1
kind: IAMServiceAccount
metadata: {name: a}
spec:
  policies:
    owned:
    - {name: a, file: policy.json}
    - {name: b, file: ../shared/./p.json}
    - {name: c, file: ../../out.json}
    inline:
    - {name: d, file: /etc/passwd}
    - {name: e, file: sub/../../x.json}
";
    let named = named_files(&snapshot(&[
        ("app/a.yaml", text),
        (
            "app/list.yaml",
            "kind: List\nitems:\n- kind: IAMServiceAccount\n  spec: {policies: {inline: [{file: q.json}]}}\n",
        ),
        ("b.yaml", "{{ IAMServiceAccount"),
    ]));
    let named: Vec<&str> = named.iter().map(RepoPath::as_str).collect();
    assert_eq!(
        named,
        ["app/policy.json", "app/q.json", "shared/p.json", "x.json"]
    );
}

#[test]
fn files_are_found_and_read_again_however_the_kind_that_names_them_is_written() {
    for kind in [
        r#""IAMServ\u0069ceAccount""#,
        r#""IAM\x53erviceAccount""#,
        r#""\U00000049AMServiceAccount""#,
        "\"IAMService\\\n  Account\"",
        "\"IAMService\\\r\n  Account\"",
        "'IAMServiceAccount'",
    ] {
        let text = format!(
            "apiVersion: albsync.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  policies:\n    owned:\n    - {{name: a, file: p.json}}\n"
        );
        let policy = |action: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
            )
        };
        let of = |action: &str| snapshot(&[("a.yaml", &text), ("p.json", &policy(action))]);
        let before = of("s3:GetObject");
        let named: Vec<_> = named_files(&before).into_iter().collect();
        assert_eq!(named, ["p.json".into()], "{kind}");
        let (options, mut cache) = (ParseOptions::default(), Cache::default());
        let first = parse_changed(&before, &options, &mut cache);
        assert_eq!(first.problems, [], "{kind}");
        let mut after = before.clone();
        after
            .files
            .insert("p.json".into(), policy("s3:PutObject").into_bytes().into());
        let again = parse_changed(&after, &options, &mut cache).value;
        let anew = parse(&after, &options).value;
        assert_eq!(
            again.iam_service_accounts, anew.iam_service_accounts,
            "{kind}"
        );
        assert_ne!(
            again.iam_service_accounts, first.value.iam_service_accounts,
            "{kind}"
        );
    }
}

#[test]
fn escapes_that_make_no_letters_leave_a_file_to_itself() {
    for text in [
        r#"a: '^/api\.x\u0041$'"#,
        r#"a: "^/api\\.v1$ \"quoted\"\n""#,
        "a: b",
    ] {
        assert!(!mentions_iam(text.as_bytes()), "{text}");
    }
}

#[test]
fn many_objects_are_read_in_time() {
    let mut text = String::new();
    for index in 0..100 {
        text += &TUTORIAL.replace("app1", &format!("a{index}"));
        text = text.replace("name: app-aws-ingress", &format!("name: i{index}"));
        text = text.replace("name: w\n", &format!("name: w{index}\n"));
        text += "---\n";
    }
    let start = Instant::now();
    let read = read(&[("a.yaml", &text), ("class.yaml", CLASS)]);
    assert_eq!(read.value.ingresses.len(), 100);
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_document_as_deep_as_one_may_be_keeps_its_body() {
    let deep = |lists: usize| {
        let value = "[".repeat(lists) + &"]".repeat(lists);
        format!("apiVersion: example.com/v1\nkind: Thing\nmetadata: {{name: a}}\nspec: {value}\n")
    };
    // The document itself is a level too.
    let most = Limits::default().depth - 1;
    let manifests = good(&[("a.yaml", &deep(most))]);
    let mut inner = &manifests.objects[0].body.value()["spec"];
    for _ in 1..most {
        inner = &inner[0];
    }
    assert_eq!(inner, &serde_json::json!([]));
    assert!(read(&[("a.yaml", &deep(most + 1))]).is_rejected());
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut snapshot = snapshot(&[]);
        snapshot.files.insert("a.yaml".into(), bytes.into());
        parse(&snapshot, &ParseOptions::default());
        named_files(&snapshot);
    }

    #[test]
    fn no_mutation_of_good_documents_makes_it_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), "[-a-z0-9:{}\\[\\]\"'*&!|#~ \n\t]{0,6}", 0usize..12), 1..6),
    ) {
        let mut text: Vec<char> = (TUTORIAL.to_owned() + "---\n" + irsa::tests::FULL).chars().collect();
        for (at, insert, remove) in edits {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        let snapshot = snapshot(&[("a.yaml", &text), ("class.yaml", CLASS)]);
        let read = parse(&snapshot, &ParseOptions::default());
        named_files(&snapshot);
        // Whatever is wrong stands somewhere in the file.
        let lines = u32::try_from(text.lines().count()).unwrap() + 1;
        for problem in read.problems {
            prop_assert!(problem.origin.line >= 1 && problem.origin.line <= lines.max(10), "{}", problem);
        }
    }

    #[test]
    fn a_body_is_what_the_document_was(value in value()) {
        prop_assert_eq!(Body::from(&value).value(), value);
    }

    #[test]
    fn the_order_of_documents_does_not_matter(order in Just(TUTORIAL.split("---\n").collect::<Vec<_>>()).prop_shuffle()) {
        let one = good(&[("a.yaml", TUTORIAL)]);
        let other = good(&[("a.yaml", &order.join("---\n"))]);
        let values = |manifests: &Manifests| {
            manifests.objects.iter().map(|object| object.body.value()).collect::<Vec<_>>()
        };
        prop_assert_eq!(values(&one), values(&other));
    }
}
