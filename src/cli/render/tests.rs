use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::facts::file;

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: aws
spec:
  controller: ingress.k8s.aws/alb
---
apiVersion: v1
kind: Service
metadata:
  name: app
spec:
  type: NodePort
  selector: {app: app}
  ports:
    - port: 80
      targetPort: 8080
";

fn ingress(name: &str, path: &str) -> String {
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
spec:
  ingressClassName: aws
  rules:
    - host: {name}.example.com
      http:
        paths:
          - path: {path}
            pathType: Prefix
            backend:
              service:
                name: app
                port:
                  number: 80
"
    )
}

fn render(files: &[(&str, &str)]) -> Rendered {
    let facts = file::read(&json!({
        "account": "123456789012", "region": "eu-west-1", "cluster": "demo", "vpc": {"id": "vpc-1"},
        "subnets": [
            {"id": "subnet-1", "az": "a", "freeAddresses": 9, "tags": {"kubernetes.io/role/internal-elb": "1"}},
            {"id": "subnet-2", "az": "b", "freeAddresses": 9, "tags": {"kubernetes.io/role/internal-elb": "1"}},
        ],
        "securityGroups": [], "loadBalancers": [], "certificates": [], "services": {}, "ingressClasses": {},
    }));
    let settings = Settings {
        cluster_name: "demo".to_owned(),
        ..Settings::offline()
    };
    let snapshot = Snapshot {
        commit: None,
        files: files
            .iter()
            .map(|(path, text)| (RepoPath::from(*path), text.as_bytes().to_vec().into()))
            .collect::<BTreeMap<_, _>>(),
    };
    let facts = facts.unwrap_or_else(|mistake| panic!("{mistake}"));
    of_files(&snapshot, &ParseOptions::default(), &facts, &settings)
}

fn groups(rendered: &Rendered) -> Vec<&str> {
    rendered.groups.keys().map(String::as_str).collect()
}

#[test]
fn what_is_known_only_after_the_apply_says_so_in_our_own_words() {
    let web = ingress("web", "/");
    let rendered = render(&[("class.yaml", CLASS), ("web.yaml", &web)]);
    assert_eq!(rendered.problems, []);
    let own = own_words(&rendered);
    let target_group = &own["groups"]["default/web"]["targetGroups"]["default/web-app:80"];
    assert_eq!(target_group["name"], lbc::LATER);
    assert_eq!(target_group["port"], lbc::LATER);
    assert_eq!(target_group["healthCheck"]["port"], "traffic-port");
    let balancer = &own["groups"]["default/web"]["loadBalancer"];
    assert_eq!(
        balancer["securityGroups"],
        json!(["managed", {"backend": lbc::LATER}])
    );
    // What is not set is left out.
    assert_eq!(balancer.get("ipv4IpamPool"), None);
    assert_eq!(balancer.get("tags"), None);
    let text = yaml::write(&own);
    assert!(text.contains("name: known after apply"), "{text}");
}

#[test]
fn a_document_that_cannot_be_read_takes_down_what_depends_on_it() {
    let (good, bad) = (ingress("good", "/"), ingress("bad", "no-slash"));
    let rendered = render(&[
        ("class.yaml", CLASS),
        ("good.yaml", &good),
        ("bad.yaml", &bad),
    ]);
    assert_eq!(groups(&rendered), ["default/good"]);
    assert!(rendered.is_rejected());

    let broken = CLASS.replace("controller:", "contrller:");
    let rendered = render(&[("class.yaml", &broken), ("good.yaml", &good)]);
    assert_eq!(groups(&rendered), [""; 0]);
}

#[test]
fn problems_have_places_and_what_to_do_in_lbcs_form_too() {
    let bad = ingress("bad", "no-slash");
    let rendered = render(&[("class.yaml", CLASS), ("bad.yaml", &bad)]);
    let printed = serde_json::to_value(rendered.as_lbc()).unwrap_or_default();
    assert_eq!(printed["groups"], json!({}));
    let problem = &printed["problems"][0];
    assert_eq!(
        (&problem["file"], &problem["line"]),
        (&json!("bad.yaml"), &json!(12))
    );
    let message = problem["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("Ingress default/bad: ") && message.contains("begins with `/`"),
        "{message}"
    );
}
