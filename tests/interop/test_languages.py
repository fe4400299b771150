"""The programs of docs/clients, built and run with the commands of their pages, through a proxy that fails the first read."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import threading

import grpc
import pytest

from conftest import HERE, clean_environment, gateway

ROOT = HERE.parent.parent
PAGES = ROOT / "docs/clients"
# installed and built files are kept here between runs
WORK = ROOT / "target/interop/clients"
DOCUMENTED_ADDRESS = "127.0.0.1:50051"
COMMAND_TIMEOUT_S = 900
CALL_TIMEOUT_S = 60

# Maven resets the terminal colours
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
STEP = re.compile(r"<!-- (run|output): (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


class FlakyProxy(grpc.GenericRpcHandler):
    """Forwards every call except the first one of each method in `failing`, which fails with UNAVAILABLE."""

    def __init__(self, upstream, failing):
        self.channel = grpc.insecure_channel(upstream, options=UNLIMITED)
        self.failing = set(failing)
        self.lock = threading.Lock()

    def service(self, details):
        return grpc.unary_stream_rpc_method_handler(lambda request, context: self.call(details.method, request, context))

    def call(self, method, request, context):
        with self.lock:
            fails = method in self.failing
            self.failing.discard(method)
        if fails:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the proxy fails the first call")
        metadata = [(name, value) for name, value in context.invocation_metadata() if passed_on(name)]
        timeout = min(context.time_remaining() or CALL_TIMEOUT_S, CALL_TIMEOUT_S)
        call = self.channel.unary_stream(method)(request, metadata=metadata, timeout=timeout)
        try:
            yield from call
        except grpc.RpcError:
            context.set_code(call.code())
            context.set_details(call.details())
        context.set_trailing_metadata([(name, value) for name, value in call.trailing_metadata() if passed_on(name)])


UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def passed_on(name):
    return name == "grpc-status-details-bin" or not name.startswith(("grpc-", "user-agent"))


@contextlib.contextmanager
def flaky(upstream, failing):
    """Runs the proxy on a free port and yields it with its address."""
    proxy = FlakyProxy(upstream, failing)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16), [proxy], options=UNLIMITED)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield proxy, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
        proxy.channel.close()


def project(name):
    """A copy of a program's folder beside a checkout, as its page describes."""
    WORK.mkdir(parents=True, exist_ok=True)
    checkout = WORK / "tollgate"
    if not checkout.is_symlink():
        checkout.symlink_to(ROOT)
    folder = WORK / name
    shutil.copytree(HERE / "clients" / name, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "gen", ignore_errors=True)
    return folder


def shell(commands, folder):
    path = os.pathsep.join([str(pathlib.Path(os.environ["BUF"]).parent), os.environ["PATH"]])
    run = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env=clean_environment(PATH=path),
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    assert run.returncode == 0, f"{commands}\n{run.stdout[-4000:]}\n{run.stderr[-4000:]}"
    return run.stdout


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.md")))
def test_the_program_prints_the_output_on_its_page(page):
    steps = STEP.findall((PAGES / f"{page}.md").read_text())
    assert {kind for kind, _, _ in steps} == {"run", "output"}, "the page has commands and their output"
    folders = {name: project(name) for _, name, _ in steps}
    for name, folder in folders.items():
        printed = ""
        with gateway("--memory") as running, flaky(running.address, ["/tollgate.v1.DataService/Get"]) as (proxy, address):
            for kind, _, block in (step for step in steps if step[1] == name):
                if kind == "run":
                    printed = COLOURS.sub("", shell(block.replace(DOCUMENTED_ADDRESS, address), folder))
                else:
                    # the build may print before the program does
                    assert printed.endswith(block), printed
        assert not proxy.failing, "the first read was retried"
