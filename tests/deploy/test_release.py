"""deploy/release and deploy/pin: the files of a release, and the images by digest."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import stat

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from program import BINARY, DEPLOY, ROOT, checked, clean_environment, run

DIGEST = "sha256:" + hashlib.sha256(b"image").hexdigest()


@pytest.fixture(scope="module")
def target():
    return re.search(r"^host: (\S+)$", checked("rustc", "-vV"), re.MULTILINE).group(1)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The folder that deploy/release writes for the built program."""
    folder = tmp_path_factory.mktemp("release") / "files"
    checked(DEPLOY / "release", "--binary", BINARY, "--cyclonedx", os.environ["CYCLONEDX"], "--out", folder)
    return folder


@pytest.fixture(scope="module")
def materials(released):
    (path,) = released.glob("*.cdx.json")
    return json.loads(path.read_text())


def test_the_files_have_names_of_version_and_target(released, target):
    version = re.search(r'\[workspace\.package\]\nversion = "([^"]+)"', (ROOT / "Cargo.toml").read_text()).group(1)
    name = f"tollgate-{version}-{target}"
    assert {path.name for path in released.iterdir()} == {name, f"{name}.cdx.json", "SHA256SUMS"}
    assert version in checked(released / name, "--version")


def test_the_checksums_match(released):
    assert checked("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=released).count(": OK") == 2
    listed = {line.split("  ")[1] for line in (released / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in released.iterdir()} - {"SHA256SUMS"}


def test_a_changed_file_does_not_match(released, tmp_path):
    copy = shutil.copytree(released, tmp_path / "copy")
    with next(copy.glob("*.cdx.json")).open("a") as file:
        file.write(" ")
    assert run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=copy).returncode != 0


def test_the_bill_of_materials_is_valid(materials):
    validator = JsonStrictValidator(SchemaVersion.V1_5)
    is_valid = lambda document: validator.validate_str(json.dumps(document)) is None
    assert is_valid(materials)
    small = {**materials, "components": [], "dependencies": []}
    assert is_valid(small) and not is_valid({**small, "unheard": 1})


def crates(target):
    """What the program is built from by `cargo metadata`: its dependencies and those of their build, not those of tests."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    metadata = json.loads(checked(*command, cwd=ROOT))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, left = set(), [identity for identity, package in packages.items() if package["name"] == "tollgate"]
    while left:
        identity = left.pop()
        if identity not in found:
            found.add(identity)
            for needed in nodes[identity]["deps"]:
                if any(kind["kind"] != "dev" for kind in needed["dep_kinds"]):
                    left.append(needed["pkg"])
    return [packages[identity] for identity in found]


def licence_of(component):
    (of,) = component["licenses"]
    return of.get("expression") or of["license"].get("id") or of["license"]["name"]


def as_expression(text):
    # the older form of SPDX in manifests
    return text.replace("/", " OR ")


def test_it_lists_every_crate_with_version_licence_and_purl(materials, target):
    listed = {(entry["name"], entry["version"]): entry for entry in materials["components"]}
    expected = {(package["name"], package["version"]): package for package in crates(target)}
    assert len(listed) == len(materials["components"]) > 200
    (program,) = (key for key in expected if key[0] == "tollgate")
    assert set(listed) == set(expected) - {program}
    for key, package in expected.items():
        entry = materials["metadata"]["component"] if key == program else listed[key]
        assert entry["purl"].split("?")[0] == f"pkg:cargo/{key[0]}@{key[1]}", entry["purl"]
        words = lambda text: re.sub(r"\s+", " ", as_expression(text)).strip()
        assert words(licence_of(entry)) == words(package["license"]), key
        if package["source"]:
            assert [of["alg"] for of in entry["hashes"]] == ["SHA-256"], key


def test_it_belongs_to_the_program(materials, released):
    component = materials["metadata"]["component"]
    program = released / next(released.glob("*.cdx.json")).name.removesuffix(".cdx.json")
    assert component["name"] == "tollgate"
    assert component["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(program.read_bytes()).hexdigest()}]


def test_it_has_no_path_of_the_machine_that_made_it(materials):
    text = json.dumps(materials)
    assert [path for path in ("/tmp/", str(ROOT), str(pathlib.Path.home())) if path in text] == []


def test_a_folder_with_files_is_not_overwritten(tmp_path):
    (tmp_path / "old").write_text("")
    ended = run(DEPLOY / "release", "--binary", BINARY, "--cyclonedx", os.environ["CYCLONEDX"], "--out", tmp_path)
    assert ended.returncode == 1 and "not empty" in ended.stderr


@pytest.fixture
def docker(tmp_path):
    """A `docker` that knows one digest, and records its arguments; returns the environment that has it first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "docker"
    script.write_text(
        f"""#!/bin/sh
echo "$@" >>{tmp_path}/docker.log
case "$*" in
*imagetools*missing*) echo "not found" >&2; exit 1 ;;
*imagetools*) echo {DIGEST} ;;
*"buildx build"*)
    while [ "$1" != --metadata-file ]; do shift; done
    echo '{{"containerimage.digest": "{DIGEST}"}}' >"$2" ;;
esac
"""
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return clean_environment(PATH=f"{folder}:{os.environ['PATH']}")


def test_images_are_pinned_and_pinned_again(tmp_path, docker):
    files = [tmp_path / "Dockerfile", tmp_path / "compose.yaml"]
    for path, source in zip(files, (ROOT / "Dockerfile", DEPLOY / "compose.yaml")):
        path.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", source.read_text()))
    before = [path.read_text() for path in files]
    unpinned = run(DEPLOY / "pin", "--check", *files, env=docker)
    assert unpinned.returncode == 1 and "gcr.io/distroless/cc-debian12:nonroot" in unpinned.stderr
    reported = checked(DEPLOY / "pin", *files, env=docker).splitlines()
    assert all(line.endswith(f"@{DIGEST}") for line in reported)
    after = [path.read_text() for path in files]
    assert [text.replace(f"@{DIGEST}", "") for text in after] == before
    named = [name for text in after for name in re.findall(r"^\s*(?:FROM|image:) (\S+)", text, re.MULTILINE)]
    assert {name for name in named if DIGEST not in name} == {name for name in named if name.endswith(":local")}
    assert len(reported) == len({name for name in named if DIGEST in name}) > 8
    checked(DEPLOY / "pin", "--check", *files, env=docker)
    checked(DEPLOY / "pin", *files, env=docker)
    assert [path.read_text() for path in files] == after


def test_an_unknown_image_changes_nothing(tmp_path, docker):
    path = tmp_path / "Dockerfile"
    path.write_text("FROM rust:1\nFROM example.com/missing:1\n")
    ended = run(DEPLOY / "pin", path, env=docker)
    assert ended.returncode == 1 and "example.com/missing:1: the digest could not be read" in ended.stderr
    assert path.read_text() == "FROM rust:1\nFROM example.com/missing:1\n"


def test_the_image_of_a_release_is_named_by_digest(tmp_path, docker):
    sources = tmp_path / "sources"
    checked("git", "clone", "--quiet", "--shared", ROOT, sources)
    for path in (DEPLOY / "release", DEPLOY / "pin"):
        shutil.copy(path, sources / "deploy")
    dockerfile = sources / "Dockerfile"
    dockerfile.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", dockerfile.read_text()))
    options = ["--binary", BINARY, "--cyclonedx", os.environ["CYCLONEDX"], "--image", "registry.example.com/tollgate"]
    unpinned = run(sources / "deploy/release", *options, "--out", tmp_path / "one", env=docker)
    assert unpinned.returncode == 1 and "not pinned by digest" in unpinned.stderr
    checked(sources / "deploy/pin", dockerfile, env=docker)
    checked(sources / "deploy/release", *options, "--out", tmp_path / "two", env=docker)
    (image,) = (tmp_path / "two").glob("*-image.txt")
    assert image.read_text() == f"registry.example.com/tollgate@{DIGEST}\n"
    assert image.name in (tmp_path / "two/SHA256SUMS").read_text()
    assert "--push" in (tmp_path / "docker.log").read_text()
