"""The steps of examples/quickstart, each checked against the servers and not against what albsync says of itself."""

import difflib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTBED = ROOT / "tests" / "testbed"
ALBSYNC = os.environ["ALBSYNC"]
HOST = "sample-app.mamezou-tech.com"
PATIENCE_SECONDS = 120


class Failed(Exception):
    """A step did not come to what it should."""


def run(*command, cwd=None, quiet=True, check=True, env=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None)
    if check and done.returncode != 0:
        raise Failed(f"`{' '.join(map(str, command))}` ended with {done.returncode}: {(done.stderr or done.stdout or '').strip()[-800:]}")
    return done.stdout


class Demo:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="albsync-quickstart-"))
        self.bed = None
        self.daemon = None
        self.tree = self.directory / "repository"
        self.config = self.directory / "albsync.yaml"
        self.step = 0

    def say(self, text):
        self.step += 1
        print(f"\n{self.step}. {text}", flush=True)

    # The servers -------------------------------------------------------------------------------------------------

    def start_bed(self):
        bed = self.directory / "bed"
        run(TESTBED / "up", bed, "--supervise", os.getpid() if not self.stay else 1)
        self.bed = json.loads((bed / "bed.json").read_text())
        self.bed_directory = bed

    def aws(self, service, operation, **parameters):
        return json.loads(run(TESTBED / "aws", self.bed_directory, service, operation, json.dumps(parameters)))

    def dump(self, keep_ids=False):
        return run(TESTBED / "dump", self.bed_directory, *(["--keep-ids"] if keep_ids else []))

    def settled(self):
        """The dump once controllers have done what follows from the daemon's writes: pods run, and it stays the same."""
        last = [None]

        def check():
            found, before = self.dump(), last[0]
            last[0] = found
            phases = [phase for owner in json.loads(found)["cluster"]["pods"].values() for phase in owner]
            if found == before and all(phase == "Running" for phase in phases):
                return found
            time.sleep(0.5)
            return None
        return self.wait("pods and endpoints at rest", check)

    def must_be(self, expected, what):
        found = self.settled()
        if found != expected:
            lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "expected", "found", lineterm="", n=2)
            raise Failed("\n".join([what, *lines]))

    def kubectl(self, *arguments, check=True):
        kubernetes = self.bed["kubernetes"]
        return run(kubernetes["kubectl"], "--kubeconfig", kubernetes["kubeconfig"]["admin"], *arguments, check=check)

    def rules(self):
        """Path → the Service's target group by name, of the one balancer's HTTP:80."""
        balancers = self.aws("elbv2", "DescribeLoadBalancers")["LoadBalancers"]
        if len(balancers) != 1:
            return {}, None
        arn = balancers[0]["LoadBalancerArn"]
        groups = {g["TargetGroupArn"]: g for g in self.aws("elbv2", "DescribeTargetGroups")["TargetGroups"]}
        rules = {}
        for listener in self.aws("elbv2", "DescribeListeners", LoadBalancerArn=arn)["Listeners"]:
            for rule in self.aws("elbv2", "DescribeRules", ListenerArn=listener["ListenerArn"])["Rules"]:
                if rule["IsDefault"]:
                    continue
                paths = [v for c in rule["Conditions"] if c["Field"] == "path-pattern"
                         for v in (c.get("PathPatternConfig", {}).get("Values") or c.get("Values") or [])]
                forward = rule["Actions"][0]
                target = forward.get("TargetGroupArn") or forward["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"]
                rules[paths[0]] = (rule["Priority"], groups[target]["TargetGroupName"], rule["RuleArn"])
        return rules, balancers[0]

    # The daemon and the repository ----------------------------------------------------------------------------------

    def configure(self):
        bed = self.bed
        endpoint = bed["aws"]["endpoint"]
        self.config.write_text(f"""\
stateDir: {self.directory}/state
socket: {self.directory}/albsync.sock
source:
  url: {bed["git"]["url"]}
  interval: 1s
cluster:
  name: {bed["aws"]["cluster_name"]}
  kubeconfig: {bed["kubernetes"]["kubeconfig"]["daemon"]}
aws:
  region: {bed["aws"]["region"]}
  endpoints:
    elasticloadbalancing: {endpoint}
    ec2: {endpoint}
    iam: {endpoint}
    sts: {endpoint}
    eks: {endpoint}
iam:
  oidcProvider: Ensure
  permissionsBoundary: {bed["aws"]["boundary"]}
  settle: 0s
sweep:
  period: 30s
""")

    def start_daemon(self):
        environment = {**os.environ, **self.bed["aws"]["environment"]}
        environment.pop("AWS_ENDPOINT_URL", None)
        log = open(self.directory / "albsync.log", "w")
        self.daemon = subprocess.Popen([ALBSYNC, "run", "--config", str(self.config)], env=environment,
                                       stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def status(self):
        return json.loads(run(ALBSYNC, "status", "--config", self.config, "-o", "json"))

    def git(self, *arguments):
        return run("git", "-c", "user.name=You", "-c", "user.email=you@example.com", *arguments, cwd=self.tree).strip()

    def push(self, message):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.send()

    def send(self):
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD"), time.monotonic()

    def wait(self, what, check):
        """Waits until `check` answers something true; a refused commit or a dead daemon ends it at once."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if self.daemon.poll() is not None:
                raise Failed(f"the daemon left with {self.daemon.returncode}; its log: {self.tail()}")
            answer = check()
            if answer:
                return answer
            time.sleep(0.1)
        raise Failed(f"{what}: not within {PATIENCE_SECONDS} s; the log: {self.tail()}")

    def tail(self):
        return "".join((self.directory / "albsync.log").read_text().splitlines(True)[-15:])

    def healthy(self, commit):
        def check():
            try:
                status = self.status()
            except Failed:
                return None
            in_force = status.get("inForce") or {}
            return in_force.get("revision") == commit and in_force.get("state") == "Healthy" and not status.get("pass")
        self.wait(f"commit {commit[:12]} healthy", check)

    def live(self, wanted, pushed):
        def check():
            rules, balancer = self.rules()
            return set(rules) == wanted and (rules, balancer)
        rules, balancer = self.wait(f"rules for {sorted(wanted)}", check)
        print(f"   from the push to the live rules: {time.monotonic() - pushed:.1f} s")
        return rules, balancer

    # The story ---------------------------------------------------------------------------------------------------

    def play(self):
        self.say("A test bed: an AWS emulator, a Kubernetes control plane, a git server, all on loopback.")
        self.start_bed()
        print(f"   AWS {self.bed['aws']['endpoint']}, cluster {self.bed['kubernetes']['server']}, git {self.bed['git']['url']}")

        self.say("A repository with the tutorial, and the daemon watching it.")
        run("git", "clone", "-q", self.bed["git"]["url"], self.tree)
        for file in sorted((ROOT / "examples" / "tutorial").iterdir()):
            shutil.copy(file, self.tree / file.name)
        self.configure()
        self.start_daemon()
        self.wait("the daemon", lambda: (self.directory / "albsync.sock").exists())

        self.say("git push: the tutorial becomes a load balancer, an IAM role and objects in the cluster.")
        commit, pushed = self.push("The tutorial")
        rules, balancer = self.live({"/app1", "/app2"}, pushed)
        self.healthy(commit)
        self.show(rules, balancer)
        self.verify_cluster(balancer, commit)
        self.verify_role()
        before, before_ids = self.settled(), self.identities()

        self.say("What would happen if /app1 became /shop? `albsync plan` says it, and changes nothing.")
        ingress = self.tree / "ingress.yaml"
        text = ingress.read_text()
        if "/app1" not in text:
            raise Failed("the tutorial's Ingress has no path /app1")
        ingress.write_text(text.replace("path: /app1", "path: /shop"))
        plan = subprocess.run([ALBSYNC, "plan", "--config", str(self.config), "--exit-code", str(self.tree)],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if plan.returncode != 1:
            raise Failed(f"plan ended with {plan.returncode} where there is a change: {plan.stderr}{plan.stdout}")
        print("".join(f"   | {line}\n" for line in plan.stdout.splitlines()), end="")
        self.must_be(before, "the plan changed something")

        self.say("git push: only the difference is sent.")
        commit, pushed = self.push("Serve the shop")
        rules, after = self.live({"/shop", "/app2"}, pushed)
        self.healthy(commit)
        self.show(rules, after)
        if after["LoadBalancerArn"] != balancer["LoadBalancerArn"]:
            raise Failed("the load balancer was replaced")

        self.say("git revert: all is as it was.")
        self.git("revert", "--no-edit", "HEAD")
        commit, pushed = self.send()
        rules, after = self.live({"/app1", "/app2"}, pushed)
        self.healthy(commit)
        self.show(rules, after)
        self.must_be(before, "the state after the revert differs from that before the change")
        if self.identities() != before_ids:
            raise Failed("something that both commits hold was made anew")
        print("   The whole state of AWS and the cluster equals that before; balancer, target groups and role are the same.")
        print("\n" + run(ALBSYNC, "history", "--config", self.config))

    def identities(self):
        balancers = [b["LoadBalancerArn"] for b in self.aws("elbv2", "DescribeLoadBalancers")["LoadBalancers"]]
        groups = sorted(g["TargetGroupArn"] for g in self.aws("elbv2", "DescribeTargetGroups")["TargetGroups"])
        roles = sorted(r["RoleId"] for r in self.aws("iam", "ListRoles", PathPrefix="/albsync/")["Roles"])
        return balancers, groups, roles

    def verify_cluster(self, balancer, commit):
        def address():
            ingress = json.loads(self.kubectl("get", "ingress", "app-aws-ingress", "-o", "json"))
            return [entry.get("hostname") for entry in ingress["status"].get("loadBalancer", {}).get("ingress", [])]
        self.wait("the Ingress's address", lambda: address() == [balancer["DNSName"].lower()])
        described = self.wait("the event", lambda: (lambda text: text if "SuccessfullyReconciled" in text and commit[:12] in text else None)(
            self.kubectl("describe", "ingress", "app-aws-ingress")))
        print("".join(f"   | {line}\n" for line in self.kubectl("get", "ingress,service,serviceaccount").splitlines()), end="")
        event = next(line for line in described.splitlines() if "SuccessfullyReconciled" in line)
        print(f"   | {' '.join(event.split())}")

    def verify_role(self):
        roles = self.aws("iam", "ListRoles", PathPrefix="/albsync/")["Roles"]
        account = json.loads(self.kubectl("get", "serviceaccount", "app1", "-o", "json"))
        arn = account["metadata"].get("annotations", {}).get("eks.amazonaws.com/role-arn")
        if [role["Arn"] for role in roles] != [arn]:
            raise Failed(f"the ServiceAccount names {arn}, the account has {[role['Arn'] for role in roles]}")
        print(f"   | role {arn}")

    def show(self, rules, balancer):
        print(f"   | {balancer['LoadBalancerName']}  {balancer['Scheme']}  {balancer['DNSName']}")
        for path, (priority, group, arn) in sorted(rules.items(), key=lambda item: int(item[1][0])):
            print(f"   | {priority:>6}  {HOST}{path:<8} → {group}")

    def down(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        if self.bed:
            run(TESTBED / "down", self.bed_directory, "--purge", check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    demo = Demo()
    demo.stay = "--stay" in sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    keep = False
    try:
        demo.play()
        keep = demo.stay
    except Failed as error:
        print(f"\nquickstart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nquickstart: broken off", file=sys.stderr)
        return 130
    finally:
        if keep:
            tree, config = demo.tree, demo.config
            print(f"""Everything keeps running. Try:
  cd {tree}                     # edit, git commit, git push
  {ALBSYNC} status --config {config}
  {ALBSYNC} plan --config {config} {tree}
  . {demo.bed_directory}/env.sh && kubectl get ingress
To end it:
  kill {demo.daemon.pid}; {TESTBED}/down {demo.bed_directory} --purge; rm -r {demo.directory}""")
        else:
            print("Cleaning up.")
            demo.down()
    print("Every step was checked against the servers.")
    return 0


sys.exit(main())
