"""The control plane of a bed: Kubernetes' own servers on loopback, with nodes behind the emulator's instances."""

import datetime
import ipaddress
import json
import secrets
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kube import Kube
from process import BedError, wait_until
from tools import TESTBED

SERVICE_RANGE = "10.100.0.0/16"
POD_RANGE = "10.0.66.0/18"
TOKEN_SECONDS = 24 * 3600
DAEMON = ("albsync", "albsync")
# All of them administrators; different names so that the audit log can tell them apart.
USERS = ["bed-admin", "bed-controller-manager", "bed-scheduler", "bed-kwok", "person"]


class ControlPlane:
    def __init__(self, directory, tools, ports, children, issuer):
        self.directory = directory
        self.tools = tools
        self.children = children
        self.issuer = issuer
        self.port = ports.take()
        self.etcd_port = ports.take()
        self.etcd_peer_port = ports.take()
        self.manager_port = ports.take()
        self.scheduler_port = ports.take()
        self.kwok_port = ports.take()
        self.pki = directory / "pki"
        self.kubeconfigs = directory / "kube"
        self.tokens = {user: secrets.token_hex(16) for user in USERS}
        self.url = f"https://127.0.0.1:{self.port}"
        self.kube = None

    def start_servers(self):
        """Starts etcd and the API server, which then get ready by themselves."""
        self.write_files()
        etcd = f"http://127.0.0.1:{self.etcd_port}"
        peer = f"http://127.0.0.1:{self.etcd_peer_port}"
        self.children.start("etcd", [
            self.tools["etcd"], "--data-dir", self.directory / "etcd", "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        ])
        self.children.start("kube-apiserver", [
            self.tools["kube_apiserver"], "--etcd-servers", etcd, "--secure-port", self.port,
            "--bind-address", "127.0.0.1",
            # Nothing in the bed uses the `kubernetes` endpoints, and a loopback address is refused there.
            "--advertise-address", "192.0.2.1", "--endpoint-reconciler-type", "none",
            "--tls-cert-file", self.pki / "server.crt", "--tls-private-key-file", self.pki / "server.key",
            "--service-cluster-ip-range", SERVICE_RANGE, "--authorization-mode", "Node,RBAC",
            "--token-auth-file", self.pki / "tokens.csv", "--service-account-issuer", self.issuer,
            "--service-account-signing-key-file", self.pki / "sa.key", "--service-account-key-file", self.pki / "sa.pub",
            "--allow-privileged", "--audit-policy-file", TESTBED / "config" / "audit.yaml",
            "--audit-log-path", self.directory / "audit.log", "--audit-log-format", "json",
            "--audit-log-mode", "blocking", "--max-requests-inflight", "0", "--max-mutating-requests-inflight", "0",
            "--enable-priority-and-fairness=false",
        ])

    def start_controllers(self):
        """Waits for the API server, then starts what makes pods and endpoints."""
        self.kube = Kube(self.port, self.pki / "ca.crt", self.tokens["bed-admin"])
        wait_until("the API server", lambda: self.kube.get("/readyz") == "ok", 60, self.children)
        self.children.start("kube-controller-manager", [
            self.tools["kube_controller_manager"], "--kubeconfig", self.kubeconfigs / "bed-controller-manager",
            "--service-account-private-key-file", self.pki / "sa.key", "--root-ca-file", self.pki / "ca.crt",
            "--leader-elect=false", "--bind-address", "127.0.0.1", "--secure-port", self.manager_port,
            "--cert-dir", self.pki / "controller-manager", "--min-resync-period", "1h",
            "--kube-api-qps", "300", "--kube-api-burst", "600", "--concurrent-gc-syncs", "20",
            # kwok's heartbeat comes every minute or so, later than the default's patience: pods would be marked as not
            # ready, for good.
            "--node-monitor-grace-period", "24h",
        ])
        self.children.start("kube-scheduler", [
            self.tools["kube_scheduler"], "--kubeconfig", self.kubeconfigs / "bed-scheduler",
            "--leader-elect=false", "--bind-address", "127.0.0.1", "--secure-port", self.scheduler_port,
            "--cert-dir", self.pki / "scheduler", "--kube-api-qps", "300", "--kube-api-burst", "600",
        ])
        stages = sorted(Path(self.tools["stages"]).glob("*.yaml"))
        self.children.start("kwok", [
            self.tools["kwok"], "--kubeconfig", self.kubeconfigs / "bed-kwok", "--manage-all-nodes",
            "--cidr", POD_RANGE, "--server-address", f"127.0.0.1:{self.kwok_port}",
            *[word for stage in stages for word in ("--config", stage)],
        ])

    def fill(self, instances):
        """Nodes, the shipped rights, and the daemon's own credentials."""
        for instance in instances:
            self.kube.create("/api/v1/nodes", node(instance))
        rights = TESTBED.parent.parent / "examples" / "rbac.yaml"
        self.kubectl("apply", "-f", rights)
        namespace, account = DAEMON
        if self.kube.find(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}") is None:
            raise BedError(f"{rights} makes no ServiceAccount {namespace}/{account}")
        self.daemon_token()

    def daemon_token(self):
        """Writes the daemon's kubeconfig, with a token as `kubectl create token` makes it."""
        namespace, account = DAEMON
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        self.tokens["daemon"] = self.kube.request("POST", path, request)["status"]["token"]
        self.write_kubeconfig("daemon")

    def settle(self, nodes):
        """Waits until what controllers add to a fresh cluster is there, so that it is no news to a later dump."""
        def done():
            ready = sum(is_ready(item) for item in self.kube.get("/api/v1/nodes")["items"])
            names = [item["metadata"]["name"] for item in self.kube.get("/api/v1/namespaces")["items"]]
            accounts = self.kube.get("/api/v1/serviceaccounts")["items"]
            maps = self.kube.get("/api/v1/configmaps")["items"]
            return (
                ready == nodes and {"default", "kube-system", "kube-public", "kube-node-lease"} <= set(names)
                and set(names) <= {a["metadata"]["namespace"] for a in accounts if a["metadata"]["name"] == "default"}
                and set(names) <= {m["metadata"]["namespace"] for m in maps if m["metadata"]["name"] == "kube-root-ca.crt"}
                and self.kube.find("/api/v1/namespaces/default/services/kubernetes")
            )
        wait_until("nodes and namespaces", done, 60, self.children, pause=0.1)

    def kubectl(self, *words, user="bed-admin"):
        command = [self.tools["kubectl"], "--kubeconfig", self.kubeconfigs / user, *words]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise BedError(f"kubectl {' '.join(map(str, words))} failed: {done.stderr.strip()}")
        return done.stdout

    def write_files(self):
        for directory in [self.pki, self.kubeconfigs]:
            directory.mkdir(mode=0o700, exist_ok=True)
        write_certificates(self.pki)
        lines = [f"{token},{user},{user},system:masters" for user, token in self.tokens.items()]
        (self.pki / "tokens.csv").write_text("\n".join(lines) + "\n")
        for user in USERS:
            self.write_kubeconfig(user)

    def write_kubeconfig(self, user):
        """In JSON, which is YAML too."""
        path = self.kubeconfigs / user
        path.touch(mode=0o600)
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "bed",
            "clusters": [{"name": "bed", "cluster": {"server": self.url, "certificate-authority": str(self.pki / "ca.crt")}}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user}}],
        }, indent=2) + "\n")


def node(instance):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    size = {"cpu": "32", "memory": "256Gi", "pods": "500"}
    ready = {
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    }
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": instance["name"],
            "labels": {
                "kubernetes.io/hostname": instance["name"], "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": instance["zone"], "topology.kubernetes.io/region": instance["zone"][:-1],
                "node.kubernetes.io/instance-type": "t3.medium",
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"providerID": f"aws:///{instance['zone']}/{instance['id']}"},
        "status": {
            "allocatable": size, "capacity": size, "conditions": [ready],
            "addresses": [
                {"type": "InternalIP", "address": instance["address"]},
                {"type": "Hostname", "address": instance["name"]},
            ],
        },
    }


def is_ready(item):
    conditions = {entry["type"]: entry["status"] for entry in item.get("status", {}).get("conditions", [])}
    tainted = any(taint["key"].startswith("node.kubernetes.io/") for taint in item["spec"].get("taints", []))
    return conditions.get("Ready") == "True" and not tainted


def write_certificates(directory):
    """An authority, the API server's certificate, and the key that signs ServiceAccount tokens."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "albsync test bed")])

    def certificate(name, key):
        return (
            x509.CertificateBuilder().subject_name(name).issuer_name(authority_name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=30))
        )

    authority = (
        certificate(authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([
        x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ])
    server = (
        certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")]), server_key)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    token_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM

    def private(key):
        return key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())

    (directory / "ca.crt").write_bytes(authority.public_bytes(pem))
    (directory / "server.crt").write_bytes(server.public_bytes(pem))
    (directory / "server.key").write_bytes(private(server_key))
    (directory / "sa.key").write_bytes(private(token_key))
    public = token_key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (directory / "sa.pub").write_bytes(public)
