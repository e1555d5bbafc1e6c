"""A bare repository over smart HTTP: git's own http-backend behind a threaded server.

It can also misbehave on request, for tests of what a daemon does with a bad remote: `set_mode("hang")` accepts and never
answers, `"down"` answers 503, `"ok"` serves.
"""

import base64
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from process import BedError, die_with_parent

MODES = ["ok", "down", "hang"]
BRANCH = "main"


class GitServer:
    def __init__(self, root, port, credentials=None):
        self.root = root
        self.port = port
        self.credentials = credentials
        self.mode = "ok"
        self.mode_changed = threading.Condition()
        self.repository = root / "repo.git"
        self.url = f"http://127.0.0.1:{port}/repo.git"
        self.empty_repository()
        handler = type("Handler", (Handler,), {"owner": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True

    def start(self):
        threading.Thread(target=self.server.serve_forever, name="git", daemon=True).start()

    def empty_repository(self):
        """A repository without commits, in place of what was there."""
        shutil.rmtree(self.repository, ignore_errors=True)
        self.root.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", f"--initial-branch={BRANCH}", self.repository)
        git("-C", self.repository, "config", "http.receivepack", "true")
        # Tests compare what is there, and collecting garbage in the background would hold the directory.
        git("-C", self.repository, "config", "gc.auto", "0")

    def set_mode(self, mode):
        if mode not in MODES:
            raise BedError(f"the git server knows the modes {', '.join(MODES)}, not {mode}")
        with self.mode_changed:
            self.mode = mode
            self.mode_changed.notify_all()

    def wait_while_hanging(self):
        with self.mode_changed:
            self.mode_changed.wait_for(lambda: self.mode != "hang", timeout=600)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: GitServer

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def serve(self):
        if self.owner.mode == "hang":
            self.owner.wait_while_hanging()
            self.close_connection = True
            return
        body = self.read_body()
        if self.owner.mode == "down":
            self.answer(503, [("Content-Type", "text/plain"), ("Retry-After", "1")], b"the git server is down for a test\n")
            return
        if not self.allowed():
            self.answer(401, [("WWW-Authenticate", 'Basic realm="test bed"'), ("Content-Type", "text/plain")], b"no\n")
            return
        url = urlsplit(self.path)
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "GIT_PROJECT_ROOT": str(self.owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self.owner.root),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": unquote(url.path),
            "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": "tester",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, env=environment, preexec_fn=die_with_parent,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(": ")
            if name == "Status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value))
        if not head:
            status, content = 500, done.stderr
        self.answer(status, headers, content)

    def read_body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def allowed(self):
        if self.owner.credentials is None:
            return True
        wanted = base64.b64encode(self.owner.credentials.encode()).decode()
        return self.headers.get("Authorization", "") == f"Basic {wanted}"

    def answer(self, status, headers, content):
        try:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format, *words):
        pass


def git(*words):
    environment = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    try:
        subprocess.run(["git", *map(str, words)], check=True, capture_output=True, text=True, env=environment)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BedError(f"git {words[0]} failed: {getattr(error, 'stderr', error)}") from error

