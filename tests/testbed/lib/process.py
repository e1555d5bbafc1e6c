"""Child processes that cannot outlive the bed, and ports that two beds never share."""

import ctypes
import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tools import cache_root

# Below the range from which Linux takes ports of outgoing connections, so that none of those is in the way.
PORTS = range(18000, 29900)
PR_SET_PDEATHSIG = 1


class BedError(Exception):
    """The bed cannot be started or used; the text says why."""


class Ports:
    """Free loopback ports, each kept by a lock file for as long as the object lives."""

    def __init__(self):
        self.directory = cache_root() / "ports"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.locks = []

    def take(self):
        for _ in range(500):
            port = random.choice(PORTS)
            lock = open(self.directory / str(port), "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self.locks.append(lock)
            return port
        raise BedError(f"no free port between {PORTS.start} and {PORTS.stop} on 127.0.0.1")


if sys.platform == "linux":
    LIBC = ctypes.CDLL(None)
else:
    LIBC = None


def die_with_parent():
    """Runs in the child: should the bed's agent be killed, the kernel kills the child too."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Children:
    """The servers of one bed, each a process group of its own. To be used from the agent's main thread only, since the
    kernel's parent-death signal follows the thread that started the child."""

    def __init__(self, logs: Path):
        self.logs = logs
        self.running = {}

    def start(self, name, command, env=None):
        log = open(self.logs / f"{name}.log", "ab")
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd="/",
            start_new_session=True, preexec_fn=die_with_parent,
        )
        log.close()
        self.running[name] = process
        return process

    def pids(self):
        return {name: process.pid for name, process in self.running.items()}

    def check(self):
        """Raises if a server has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise BedError(f"{name} ended with code {process.returncode}:\n{self.tail(name)}")

    def tail(self, name, lines=15):
        try:
            text = (self.logs / f"{name}.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def kill_all(self):
        """SIGKILL at once: nothing in a bed is worth saving."""
        for process in self.running.values():
            kill_group(process.pid)
        for process in self.running.values():
            process.wait()


def kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # A zombie has ended, whatever its parent does about it.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return True


def belongs(pid, directory):
    """Process ids come round again: only one whose command line names the bed's directory is ours."""
    return any(str(directory) in word for word in command_line(pid))


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        done = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True)
        return done.stdout.split()


def wait_until(what, check, seconds, children=None, pause=0.03):
    """Calls `check` until it answers something true; what it raises counts as "not yet"."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        if children is not None:
            children.check()
        try:
            answer = check()
            if answer:
                return answer
        except BedError:
            raise
        except Exception as error:  # noqa: BLE001 - a server that starts fails in any way it likes
            last = error
        time.sleep(pause)
    raise BedError(f"{what}: not within {seconds} s" + (f" (last: {last})" if last else ""))
