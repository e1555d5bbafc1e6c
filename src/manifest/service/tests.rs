use crate::manifest::tests::{good, printed};

/// A Service whose spec begins on line 5.
fn service(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n{spec}")
}

#[test]
fn ports_are_read_with_the_api_servers_defaults() {
    let text = service(
        "  type: NodePort\n  ports:\n  - {name: a, port: 80}\n  - {name: b, port: 81, targetPort: web, nodePort: 30080}\n  - {name: c, port: 82, targetPort: 8080}\n",
    );
    let manifests = good(&[("a.yaml", &text)]);
    let read: Vec<_> = manifests.services[0]
        .ports
        .iter()
        .map(|port| {
            (
                port.port,
                port.target_port.to_string(),
                port.node_port,
                port.origin.line,
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            (80, "80".to_owned(), None, 7),
            (81, "web".to_owned(), Some(30080), 8),
            (82, "8080".to_owned(), None, 9)
        ]
    );
    let external = service("  type: ExternalName\n  externalName: a.example\n");
    assert_eq!(
        good(&[("a.yaml", &external)]).services[0].service_type,
        "ExternalName"
    );
}

#[test]
fn each_bad_field_has_its_place() {
    let table = [
        (
            "  typ: NodePort\n  ports: [{port: 80}]\n",
            "5:3: problem[unknown-field]: Service default/s: there is no field spec.typ; did you mean \"type\"?",
        ),
        (
            "  type: nodeport\n  ports: [{port: 80}]\n",
            "5:9: problem[bad-value]: Service default/s: spec.type cannot be \"nodeport\"; it is one of ClusterIP, NodePort, LoadBalancer, ExternalName",
        ),
        (
            "  type: NodePort\n",
            "5:3: problem[missing-field]: Service default/s: spec.ports is missing; write a port: only headless Services and those of type ExternalName have none",
        ),
        (
            "  ports: [{name: a}]\n",
            "5:11: problem[missing-field]: Service default/s: spec.ports[0].port is missing",
        ),
        (
            "  ports: [{port: 65536}]\n",
            "5:18: problem[bad-value]: Service default/s: spec.ports[0].port must be a whole number from 1 to 65535, not 65536",
        ),
        (
            "  ports: [{port: 80, protocol: tcp}]\n",
            "5:32: problem[bad-value]: Service default/s: spec.ports[0].protocol cannot be \"tcp\"; it is one of TCP, UDP, SCTP",
        ),
        (
            "  ports: [{port: 80, nodePort: 30000}]\n",
            "5:32: problem[bad-value]: Service default/s: spec.ports[0].nodePort is set on a Service of type ClusterIP; write spec.type: NodePort",
        ),
        (
            "  ports: [{name: a, port: 80}, {port: 81}]\n",
            "5:32: problem[missing-field]: Service default/s: spec.ports[1].name is missing; each of several ports has a name",
        ),
        (
            "  ports: [{name: a, port: 80}, {name: b, port: 80}]\n",
            "5:42: problem[bad-value]: Service default/s: two ports of this Service are 80/TCP (see also a.yaml:5:21)",
        ),
        (
            "  ports: [{name: a, port: 80}, {name: a, port: 81}]\n",
            "5:33: problem[bad-value]: Service default/s: two ports of this Service are a (see also a.yaml:5:12)",
        ),
        (
            "  ports: [{port: 80, targetPort: Web_Port}]\n",
            "5:34: problem[bad-name]: Service default/s: spec.ports[0].targetPort cannot be \"Web_Port\"; up to 15 lower-case letters, digits and single `-`, with at least one letter",
        ),
        (
            "  selector: {app: yes}\n  ports: [{port: 80}]\n",
            "5:19: problem[wrong-type]: Service default/s: spec.selector.app must be text, not `yes`; put it in quotes",
        ),
    ];
    for (spec, wanted) in table {
        let found = printed(&[("a.yaml", &service(spec))]);
        assert_eq!(found, [format!("a.yaml:{wanted}")], "{spec}");
    }
}
