"""The commands' side: starting and ending a bed's agent, and asking it. Python's standard library only."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from process import BedError, alive, belongs, command_line, kill_group

LIB = Path(__file__).resolve().parent


def describe(directory):
    """What bed.json says."""
    try:
        return json.loads((Path(directory) / "bed.json").read_text())
    except OSError as error:
        raise BedError(f"no bed is up in {directory} (start one with `up {directory}`)") from error


def start(directory, tools, options):
    """Starts the agent and waits until the bed is up. If this process is told to stop meanwhile, so is the agent."""
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "agent.pid").exists():
        if alive(int((directory / "agent.pid").read_text())):
            raise BedError(f"a bed is up in {directory} already (end it with `down {directory}`)")
        end(directory)
    (directory / "logs").mkdir(exist_ok=True)
    read, write = os.pipe()
    options = {**options, "tools": tools.as_strings()}
    with open(directory / "logs" / "agent.log", "ab") as log:
        agent = subprocess.Popen(
            [str(tools.python), "-u", "-B", str(LIB / "agent.py"), str(directory), str(write), json.dumps(options)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[write], start_new_session=True,
        )
    os.close(write)
    (directory / "agent.pid").write_text(str(agent.pid))
    failure = None
    ready = False
    try:
        with os.fdopen(read) as lines:
            for line in lines:
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "say":
                    print(f"testbed: {rest}", file=sys.stderr, flush=True)
                elif word == "failed":
                    failure = json.loads(rest)
                elif word == "ready":
                    ready = True
    except BaseException:
        agent.terminate()
        agent.wait()
        raise
    if not ready:
        agent.wait()
        (directory / "agent.pid").unlink(missing_ok=True)
        raise BedError(failure or f"the bed's agent ended; see {directory / 'logs' / 'agent.log'}")


def end(directory):
    """Ends the bed in `directory`, also one whose agent was killed or whose start was broken off."""
    try:
        bed = describe(directory)
    except BedError:
        bed = {"pids": {}}
    pid = bed.get("pid")
    try:
        pid = int((directory / "agent.pid").read_text())
    except (OSError, ValueError):
        pass
    if pid is not None and is_agent(pid, directory):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        if alive(pid):
            # The children go with their parent.
            kill_group(pid)
    else:
        for child in bed["pids"].values():
            if belongs(child, directory):
                kill_group(child)
    for name in ["bed.json", ".bed.json", "env.sh", "agent.pid"]:
        (directory / name).unlink(missing_ok=True)


def is_agent(pid, directory):
    words = command_line(pid)
    return any(word.endswith("agent.py") for word in words) and str(directory) in words


def ask(directory, method, path, body=None):
    """One request to the bed's agent."""
    url = describe(directory)["control"] + path
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise BedError(json.load(error).get("error", str(error))) from error
    except OSError as error:
        raise BedError(f"the bed in {directory} does not answer: {error}") from error
