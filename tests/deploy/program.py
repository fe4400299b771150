"""The built program: its settings, variables and flags, its image, and running instances; and how to run other tools."""

import contextlib
import os
import pathlib
import re
import shlex
import socket
import subprocess

import yaml

ROOT = pathlib.Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BINARY = os.environ["TOLLGATE_BIN"]
LOCAL_STORES = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


def clean_environment(**extra):
    foreign = ("AWS_", "TOLLGATE_", "OTEL_")
    return {**{name: value for name, value in os.environ.items() if not name.startswith(foreign)}, **extra}


def run(*command, **options):
    """Runs a command and captures its output as text."""
    command = [str(word) for word in command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def checked(*command, **options):
    """Runs a command that must succeed, and returns its stdout."""
    ended = run(*command, **options)
    assert ended.returncode == 0, f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def serve_settings(*arguments, environment=None, cwd=None):
    """The settings in effect under these arguments and variables. Fails if the program refuses any of them."""
    printed = checked(
        BINARY, "serve", *arguments, "--print-config", env=clean_environment(**(environment or {})), cwd=cwd
    )
    return dict(leaves(yaml.safe_load(printed)))


def leaves(tree, prefix=""):
    """The settings of a tree by their paths, such as `limits.in_flight`."""
    for name, value in tree.items():
        # an empty map is the value of a setting
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def variable(path):
    return "TOLLGATE_" + path.replace(".", "__").upper()


def image():
    """The built image: `env`, `settings` (the folder of its settings file), `entrypoint`, `volume`, `user`."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = text[text.rindex("FROM ") :].splitlines()
    of = lambda word: [line.split(None, 1)[1] for line in lines if line.startswith(word + " ")]
    variables = [pair.split("=", 1) for line in of("ENV") for pair in shlex.split(line)]
    sources = dict(line.split()[::-1] for line in of("COPY") if not line.startswith("--"))
    settings = sources[f"{of('WORKDIR')[0]}/tollgate.yaml"]
    return {
        "env": dict(variables),
        "settings": (ROOT / settings).parent,
        "models": next(target for target, source in sources.items() if source == "models"),
        "entrypoint": yaml.safe_load(of("ENTRYPOINT")[0])[0],
        "command": yaml.safe_load(of("CMD")[0]),
        "volume": of("VOLUME")[0],
        "from": of("FROM")[0],
    }


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """A running `tollgate serve`: its addresses for calls and for metrics."""

    def __init__(self, *arguments, environment=None):
        self.metrics = f"127.0.0.1:{free_port()}"
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", self.metrics, *arguments]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=clean_environment(**(environment or {})),
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening (\S+)\n", line)
        assert match, f"no listening line, but {line!r} (exit {self.process.poll()})"
        self.address = match.group(1)

    def call(self, *words):
        return checked(BINARY, "call", "--address", f"http://{self.address}", *words, env=clean_environment())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0


@contextlib.contextmanager
def gateway(*arguments, **options):
    running = Gateway(*arguments, **options)
    try:
        yield running
    finally:
        running.stop()
