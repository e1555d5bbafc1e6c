"""Obtains what the test bed runs: binaries built from pinned Go modules, and the emulator's Python environment.

Everything lies in a cache outside of the checkout, under a key made from the files that determine it, so a fresh clone
finds what an earlier one built. A directory appears under its key only when it is complete (built beside, then renamed),
and a lock keeps two runs from building at once. Python's standard library only.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TESTBED = Path(__file__).resolve().parent.parent
KUBERNETES_VERSION = "v1.36.3"
# Part of every key: raise it when the way of building changes and old results must not be reused.
RECIPE = "1"
GO_OLDEST = (1, 21)
KUBERNETES_BINARIES = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"]
# kwok does nothing without stages: these make nodes ready and let pods run, complete and go away.
KWOK_STAGES = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat/node-heartbeat.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
]


class ToolError(Exception):
    """Something the bed needs cannot be obtained; the text says what to do."""


@dataclass
class Tools:
    python: Path
    etcd: Path | None = None
    kube_apiserver: Path | None = None
    kube_controller_manager: Path | None = None
    kube_scheduler: Path | None = None
    kubectl: Path | None = None
    kwok: Path | None = None
    stages: Path | None = None

    def as_strings(self):
        return {name: str(value) for name, value in vars(self).items() if value is not None}


def ensure(cluster=True):
    """Returns the paths of all tools, building what is missing."""
    tools = Tools(python=ensure_python())
    if not cluster:
        return tools
    binaries = ensure_binaries()
    for name in ["etcd", "kwok", *KUBERNETES_BINARIES]:
        setattr(tools, name.replace("-", "_"), binaries / "bin" / name)
    tools.stages = binaries / "stages"
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        for name in ["etcd", "kube-apiserver"]:
            path = Path(given) / name
            if not os.access(path, os.X_OK):
                raise ToolError(f"KUBEBUILDER_ASSETS is set to {given}, but there is no executable {name} in it")
            setattr(tools, name.replace("-", "_"), path)
    return tools


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "albsync" / "testbed"


def say(text):
    print(f"testbed: {text}", file=sys.stderr, flush=True)


def ensure_python():
    """The emulator's environment; also used for seeding, dumping and single AWS calls."""
    requirements = TESTBED / "requirements.txt"
    version = ".".join(map(str, sys.version_info[:2]))
    if sys.version_info < (3, 10):
        raise ToolError(f"the test bed needs Python 3.10 or newer; this is {version}")
    # The environment points at the interpreter it was made from.
    key = digest([requirements], "python", version, sys.base_prefix)
    with built(f"python-{key}") as (final, new):
        if new is not None:
            say(f"installing the AWS emulator ({requirements.name}) into {final}")
            run([sys.executable, "-m", "venv", str(new)], "making a virtual environment (Debian: package python3-venv)")
            # Scripts with the build directory in their first line are not used: everything is `python -m` or a file.
            pip = [str(new / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run([*pip, "-r", str(requirements)], "installing the emulator's packages")
    return final / "bin" / "python"


def ensure_binaries():
    modules = TESTBED / "binaries"
    files = sorted(path for path in modules.rglob("*") if path.is_file())
    key = digest(files, "go", KUBERNETES_VERSION, *KWOK_STAGES)
    with built(f"go-{key}") as (final, new):
        if new is not None:
            check_go()
            say(f"building etcd, Kubernetes and kwok into {final} (about 6 minutes on two cores the first time)")
            build_all(modules, new)
    return final


def build_all(modules, out):
    (out / "bin").mkdir()
    (out / "stages").mkdir()
    plain = "-s -w"
    major, minor = KUBERNETES_VERSION.removeprefix("v").split(".")[:2]
    package = "k8s.io/component-base/version"
    versioned = (
        f"-s -w -X {package}.gitVersion={KUBERNETES_VERSION} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
    go_build(modules / "etcd", ".", out / "bin" / "etcd", plain)
    for name in KUBERNETES_BINARIES:
        go_build(modules / "kubernetes", f"k8s.io/kubernetes/cmd/{name}", out / "bin" / name, versioned, cgo="0")
    go_build(modules / "kwok", "sigs.k8s.io/kwok/cmd/kwok", out / "bin" / "kwok", plain, cgo="0")
    found = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"],
        cwd=modules / "kwok", env=go_environment(), check=True, capture_output=True, text=True,
    )
    for stage in KWOK_STAGES:
        # Copied, so that a run needs neither Go nor the module cache; made writable, for the cache can be removed.
        copy = out / "stages" / Path(stage).name
        shutil.copyfile(Path(found.stdout.strip()) / "kustomize" / "stage" / stage, copy)


def go_build(module, package, target, ldflags, cgo=None):
    environment = go_environment()
    if cgo is not None:
        environment["CGO_ENABLED"] = cgo
    command = ["go", "build", "-trimpath", "-ldflags", ldflags, "-o", str(target), package]
    run(command, f"building {target.name}", cwd=module, env=environment)


def go_environment():
    # The modules ask for Go 1.26: an older `go` fetches that toolchain by itself.
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    environment.setdefault("GOTOOLCHAIN", "auto")
    return environment


def check_go():
    try:
        found = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolError(
            "the test bed builds etcd and Kubernetes once and needs Go 1.21 or newer, but `go version` does not run "
            f"({error}); install Go, or start the bed with --no-cluster"
        ) from error
    version = re.search(r"go(\d+)\.(\d+)", found)
    if version is None or (int(version[1]), int(version[2])) < GO_OLDEST:
        raise ToolError(f"the test bed needs Go 1.21 or newer to build etcd and Kubernetes; found: {found.strip()}")


def run(command, what, **options):
    """Runs a long command with a line of progress now and then; its output is shown only if it fails."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        try:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        except OSError as error:
            raise ToolError(f"{what} failed: {error}") from error
        try:
            while True:
                try:
                    code = process.wait(timeout=15)
                    break
                except subprocess.TimeoutExpired:
                    say(f"still {what} ({time.monotonic() - started:.0f} s)")
        except BaseException:
            process.kill()
            process.wait()
            raise
        if code != 0:
            output.seek(0)
            tail = output.read()[-4000:]
            raise ToolError(f"{what} failed with exit code {code}:\n{tail}")
    say(f"{what} took {time.monotonic() - started:.1f} s")


@contextmanager
def built(name):
    """Yields (final, None) if `name` is cached, else (final, an empty directory that becomes final on success)."""
    root = cache_root()
    final = root / name
    if final.is_dir():
        yield final, None
        return
    root.mkdir(parents=True, exist_ok=True)
    with open(root / f".{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run is preparing {name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if final.is_dir():
            yield final, None
            return
        new = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
        try:
            yield final, new
            new.chmod(0o755)
            os.rename(new, final)
        finally:
            if new.exists():
                shutil.rmtree(new, ignore_errors=True)


def digest(files, *words):
    state = hashlib.sha256()
    for word in (RECIPE, platform.system(), platform.machine(), *words):
        state.update(word.encode() + b"\0")
    for path in files:
        state.update(str(path.relative_to(TESTBED)).encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()[:16]


if __name__ == "__main__":
    try:
        for name, path in ensure(cluster="--no-cluster" not in sys.argv).as_strings().items():
            print(f"{name}={path}")
    except ToolError as error:
        say(str(error))
        sys.exit(1)
