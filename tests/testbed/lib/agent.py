"""The process that owns one bed: it starts the servers as its children, serves the repository, answers requests for
dumps, resets and single AWS calls, and takes everything down when told to or when the supervised process is gone.

Usage: agent.py DIR READY_FD OPTIONS_JSON (run by `up` in the emulator's environment; progress goes to READY_FD).
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cluster
import dump
import restore
import seed
from gitserver import GitServer
from plain import Tunnel
from process import BedError, Children, Ports, alive, belongs, wait_until
from tools import TESTBED

# How often the agent looks whether its children and the supervised process are still there.
LOOK_SECONDS = 0.25


class Stop(Exception):
    """SIGTERM or SIGINT has come."""


class Bed:
    def __init__(self, directory, ready, options):
        self.directory = directory
        self.ready = ready
        self.options = options
        self.started = time.monotonic()
        self.ports = Ports()
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.children = Children(self.logs)
        self.plane = None
        self.baseline = None
        self.facts = {}
        self.guests = set()
        self.lock = threading.Lock()
        (directory / "audit.log").unlink(missing_ok=True)

    def say(self, text):
        self.ready.write(f"say {text} ({time.monotonic() - self.started:.1f} s)\n")
        self.ready.flush()

    def start(self):
        number = self.options["seed"]
        tools = self.options["tools"]
        moto_port = self.ports.take()
        self.aws_url = f"http://127.0.0.1:{moto_port}"
        environment = {
            **os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "MOTO_ACM_VALIDATION_WAIT": "60",
            "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "AWS_DEFAULT_REGION": seed.REGION,
        }
        main = Path(__file__).with_name("moto_main.py")
        # One machine image instead of 600, which the emulator would make anew (and partly keep) at each reset.
        environment["MOTO_AMIS_PATH"] = str(TESTBED / "config" / "images.json")
        self.children.start("moto", [sys.executable, main, moto_port, seed.issuer_id(number), self.directory], environment)
        if self.options["cluster"]:
            self.plane = cluster.ControlPlane(self.directory, tools, self.ports, self.children, seed.issuer(number))
            self.plane.start_servers()
        self.git = GitServer(self.directory / "git", self.ports.take(), self.options["git_auth"])
        self.git.start()

        self.account = seed.Account(self.aws_url)
        seed.warm(self.account)
        # A real call: the port is open two seconds before the emulator can answer.
        wait_until("the AWS emulator", self.emulator_answers, 60, self.children)
        self.say("the AWS emulator answers")
        seed.wake(self.account)
        self.facts = seed.seed(self.account, number)
        if self.facts["issuer"] != seed.issuer(number):
            raise BedError(f"the emulator's issuer is {self.facts['issuer']}, not {seed.issuer(number)}")
        self.say("the AWS account is seeded")
        if self.plane:
            self.plane.start_controllers()
            self.say("the API server is ready")
            self.plane.fill(self.facts["instances"])
            self.tunnel = Tunnel(self.ports.take(), self.plane.port, self.plane.pki / "ca.crt")
            self.tunnel.start()
            self.plane.settle(len(self.facts["instances"]))
            self.baseline = restore.Baseline(self.plane.kube)
            self.say("the nodes are ready")
        self.write_description()
        self.children.check()

    def emulator_answers(self):
        return "LoadBalancers" in self.account.call("elbv2", "DescribeLoadBalancers", {})

    def serve(self):
        """The control server, on the port that `describe` names."""
        self.control_port = self.ports.take()
        handler = type("Handler", (Handler,), {"bed": self})
        server = ThreadingHTTPServer(("127.0.0.1", self.control_port), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="control", daemon=True).start()

    def write_description(self):
        self.serve()
        aws = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": seed.REGION,
            "AWS_DEFAULT_REGION": seed.REGION,
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        variables = {**aws, "BED": str(self.directory)}
        bed = {
            "directory": str(self.directory),
            "pid": os.getpid(),
            "pids": self.children.pids(),
            "seed": self.options["seed"],
            "control": f"http://127.0.0.1:{self.control_port}",
            "aws": {"endpoint": self.aws_url, "environment": aws, **self.facts},
            "git": {
                "url": self.git.url, "path": str(self.git.repository), "branch": "main",
                "credentials": self.options["git_auth"],
            },
            "kubernetes": None,
        }
        if self.plane:
            bed["kubernetes"] = {
                "server": self.plane.url,
                "plain": f"http://127.0.0.1:{self.tunnel.port}",
                "ca": str(self.plane.pki / "ca.crt"),
                "kubectl": self.options["tools"]["kubectl"],
                "kubeconfig": {
                    "admin": str(self.plane.kubeconfigs / "person"), "daemon": str(self.plane.kubeconfigs / "daemon"),
                },
                "token": {"admin": self.plane.tokens["person"], "daemon": self.plane.tokens["daemon"]},
                "audit_log": str(self.directory / "audit.log"),
            }
            variables["KUBECONFIG"] = bed["kubernetes"]["kubeconfig"]["admin"]
        lines = [f"export {name}='{value}'" for name, value in variables.items()]
        if self.plane:
            lines.append(f"PATH='{Path(self.options['tools']['kubectl']).parent}':\"$PATH\"")
        (self.directory / "env.sh").write_text("\n".join(lines) + "\n")
        new = self.directory / ".bed.json"
        new.touch(mode=0o600)
        new.write_text(json.dumps(bed, indent=2) + "\n")
        new.rename(self.directory / "bed.json")
        self.description = bed

    def reset(self, empty_git=False):
        """Back to the seeded state; the servers go on running. Returns the seconds it took."""
        started = time.monotonic()
        with self.lock:
            failures = []

            def restore_cluster():
                try:
                    self.baseline.restore()
                    if self.plane.kube.find("/api/v1/namespaces/albsync/serviceaccounts/albsync") is None:
                        raise BedError("the daemon's ServiceAccount is gone; start a new bed")
                except Exception as error:  # noqa: BLE001 - carried over to the asking thread
                    failures.append(error)

            thread = threading.Thread(target=restore_cluster)
            if self.plane:
                thread.start()
            facts = seed.seed(self.account, self.options["seed"])
            seeded = time.monotonic()
            if self.plane:
                thread.join()
            if failures:
                raise failures[0]
            if facts != self.facts:
                raise BedError("the emulator drew other ids than at the start; start a new bed")
            if empty_git:
                self.git.empty_repository()
        self.git.set_mode("ok")
        ended = time.monotonic()
        return {"seconds": round(ended - started, 3), "aws_seconds": round(seeded - started, 3)}

    def dump(self, keep_ids):
        with self.lock:
            return dump.dump(self.account, self.plane and self.plane.kube, self.baseline, self.facts, keep_ids)

    def watch(self):
        """Returns when the supervised process is gone; raises Stop on a signal."""
        told = set()
        while self.options["supervise"] is None or alive(self.options["supervise"]):
            for name, process in self.children.running.items():
                if process.poll() is not None and name not in told:
                    told.add(name)
                    print(f"{name} ended with code {process.returncode}", flush=True)
            time.sleep(LOOK_SECONDS)
        print(f"process {self.options['supervise']} is gone", flush=True)

    def end(self):
        """Takes everything down but the logs."""
        for pid in self.guests:
            if belongs(pid, self.directory):
                os.kill(pid, signal.SIGKILL)
        self.children.kill_all()
        for name in ["bed.json", ".bed.json", "env.sh", "agent.pid"]:
            (self.directory / name).unlink(missing_ok=True)
        for name in ["etcd", "pki", "kube", "git"]:
            shutil.rmtree(self.directory / name, ignore_errors=True)


class Handler(BaseHTTPRequestHandler):
    """The control server: JSON in, JSON out."""

    protocol_version = "HTTP/1.1"
    bed: Bed

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path == "/dump":
            self.run(lambda: self.bed.dump(query.get("keep_ids") == "true"))
        elif url.path == "/bed":
            self.run(lambda: self.bed.description)
        else:
            self.answer(404, {"error": f"no {url.path}"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        if self.path == "/aws":
            self.run(lambda: call_aws(self.bed.account, body))
        elif self.path == "/reset":
            self.run(lambda: self.bed.reset(body.get("git", False)))
        elif self.path == "/git":
            self.run(lambda: self.bed.git.set_mode(body["mode"]))
        elif self.path == "/guest":
            self.run(lambda: self.bed.guests.add(int(body["pid"])))
        else:
            self.answer(404, {"error": f"no {self.path}"})

    def run(self, function):
        try:
            self.answer(200, function())
        except Exception as error:  # noqa: BLE001 - the asking side gets it
            self.answer(500, {"error": f"{type(error).__name__}: {error}"})

    def answer(self, status, value):
        content = json.dumps(value, indent=2, sort_keys=True, default=str).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *words):
        pass


def call_aws(account, request):
    """One call: {"result": …}, or {"refused": {"code", "message", "status"}} with AWS's own words."""
    from botocore.exceptions import ClientError

    try:
        result = account.call(request["service"], request["operation"], request.get("parameters", {}))
    except ClientError as error:
        refused = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return {"refused": {"code": refused.get("Code"), "message": refused.get("Message"), "status": status}}
    result.pop("ResponseMetadata", None)
    return {"result": result}


def main():
    directory, ready = Path(sys.argv[1]), os.fdopen(int(sys.argv[2]), "w")
    # Not for the children: `up` waits for the end of this pipe.
    os.set_inheritable(ready.fileno(), False)

    def stop(*_):
        raise Stop

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    bed = Bed(directory, ready, json.loads(sys.argv[3]))
    try:
        bed.start()
        bed.say("the bed is up")
        ready.write("ready\n")
        ready.close()
        bed.watch()
        if bed.options["purge"]:
            bed.children.kill_all()
            shutil.rmtree(directory, ignore_errors=True)
    except Stop:
        print("told to stop", flush=True)
    except Exception as error:  # noqa: BLE001 - `up` says it
        print(f"{type(error).__name__}: {error}", flush=True)
        try:
            text = str(error) if isinstance(error, BedError) else f"{type(error).__name__}: {error}"
            ready.write(f"failed {json.dumps(text)}\n")
            ready.close()
        except (OSError, ValueError):
            pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bed.end()
        # Whatever git processes are still serving someone.
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
