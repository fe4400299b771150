"""Runs the commands of the README, the tour and the AWS page unchanged."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import BINARY, HERE, clean_environment, gateway, moto_server

ROOT = HERE.parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND_TIMEOUT_S = 300


def commands(page):
    """The shell blocks of a page, each with the next block, which may be its output."""
    blocks = BLOCK.findall((ROOT / page).read_text())
    after = [*blocks[1:], ("", "")]
    return [(text, output) for (language, text), (kind, output) in zip(blocks, after) if language == "sh"]


def shell(text, folder, environment):
    command = ["bash", "-uc", f"set -o pipefail\n{text}"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
    )


@pytest.fixture
def terminal(tmp_path):
    """A folder with files of the checkout, with `tollgate` and `grpcurl` on the path and a running gateway."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "grpcurl").symlink_to(os.environ["GRPCURL"])
    shutil.copy(ROOT / "README.md", tmp_path)
    models = tmp_path / "models"
    models.mkdir()
    for model in [*ROOT.glob("models/*.yaml"), *ROOT.glob("models/examples/*.yaml")]:
        shutil.copy(model, models)
    with gateway("--memory", "--models", str(models)) as running:
        script = programs / "tollgate"
        script.write_text(f'#!/bin/sh\nshift\nexec {BINARY} call --address http://{running.address} "$@"\n')
        script.chmod(0o755)
        environment = clean_environment(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
        yield lambda text: shell(text.replace("localhost:50051", running.address), tmp_path, environment)


@pytest.mark.parametrize(("page", "at_least"), [("README.md", 3), ("docs/tour.md", 12)])
def test_the_calls_on_a_page_have_the_documented_results(terminal, page, at_least):
    typed = 0
    for text, output in commands(page):
        if not re.search(r"^(tollgate call|grpcurl) ", text, re.MULTILINE):
            continue
        ended = terminal(text)
        refused = output.startswith("ERROR:") or "attribute_not_exists" in text.splitlines()[-1]
        assert (ended.returncode != 0) == refused, f"{text}\n{ended.stdout}\n{ended.stderr}"
        for reason in re.findall(r'"reason": "(\w+)"', output):
            assert reason in ended.stdout + ended.stderr, text
        typed += 1
    assert typed >= at_least


def test_the_commands_of_the_aws_page_create_what_the_models_need(tmp_path):
    """With the current `aws` command, and only the region that the page exports."""
    (making,) = [text for text, _ in commands("docs/aws.md") if "create-table" in text]
    path = f"{pathlib.Path(os.environ['AWS_CLI']).parent}{os.pathsep}{os.environ['PATH']}"
    log = tmp_path / "log"
    with moto_server() as url, log.open("w") as lines:
        stores = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        environment = clean_environment(**stores, PATH=path, HOME=str(tmp_path))
        made = shell(f"set -e\n{making}\nenv", tmp_path, environment)
        assert made.returncode == 0, made.stderr
        exported = dict(re.findall(r"^(AWS_\w*REGION)=(.*)$", made.stdout, re.MULTILINE))
        assert set(exported) == {"AWS_REGION", "AWS_DEFAULT_REGION"}
        with gateway("--backend", "aws", environment={**environment, **exported}, log=lines) as running:
            call = [BINARY, "call", "--address", f"http://{running.address}", "--json", "save", "User"]
            item = ["pk=USER#1", "sk=PROFILE", "ssn=123"]
            saved = subprocess.run([*call, *item], capture_output=True, text=True, env=clean_environment())
            assert saved.returncode == 0, saved.stderr
            assert json.loads(saved.stdout)["metrics"]["kms_calls"] == 1
    assert "missing" not in log.read_text()
