"""Environments, images and lock agree."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from consilience.foundation.codetrace import dependencies

ROOT = Path(__file__).resolve().parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
CONDA_NAMES = {"pytorch": "torch"}


def lock():
    lines = (ROOT / "envs" / "lock.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name.lower(): version for name, version in pairs}


def test_every_version_in_the_lock_is_exact_and_portable():
    lines = (ROOT / "envs" / "lock.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!]+", line), line
    assert "torch==2.13.0" in lines


def test_everything_asked_for_is_locked():
    for line in (ROOT / "envs" / "requirements.in").read_text(encoding="utf-8").splitlines():
        name = re.split(r"[=<>]", line)[0].strip().lower()
        assert not name or name.startswith("#") or name in lock(), name


def test_what_is_installed_is_what_is_locked():
    from importlib.metadata import PackageNotFoundError, version

    for name, locked in lock().items():
        try:
            assert version(name).split("+")[0] == locked, name
        except PackageNotFoundError:
            pytest.fail(f"{name} is locked but not installed")


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_conda_environments_pin_the_locked_versions(path):
    env = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert env["channels"][0] == "conda-forge"
    assert env["channels"][-1] == "nodefaults"
    for entry in env["dependencies"]:
        name, version = re.fullmatch(r"(\S+) =(\S+)", entry).groups()
        if name == "python":
            assert version == "3.11"
        else:
            assert version == lock()[CONDA_NAMES.get(name, name)], name


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_images_install_what_the_conda_environments_hold(path):
    env = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = {CONDA_NAMES.get(entry.split(" ")[0], entry.split(" ")[0]) for entry in env["dependencies"]}
    definition = (ROOT / "containers" / f"{path.stem}.def").read_text(encoding="utf-8")
    installed = re.search(r"lock\.txt \\\n\s+(.+?)\s*\n", definition)
    assert installed is not None
    assert set(installed.group(1).split()) == names - {"python"}


def test_every_rule_names_an_environment_that_exists():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for name in re.findall(r'"\.\./envs/(\w+)\.yaml"', path.read_text(encoding="utf-8")):
            assert (ROOT / "envs" / f"{name}.yaml") in ENVS
            assert f"CONTAINERS.{name}" in path.read_text(encoding="utf-8")


def test_cited_version_is_the_library_version():
    import consilience

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == consilience.__version__


IMPORT_NAMES = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
OWN = {"consilience", "snakemake"}
BROUGHT_ALONG = {"urllib3": "requests", "markupsafe": "jinja2", "threadpoolctl": "scikit-learn"}
NOT_REACHED = {"prepare": {"requests", "filelock"}, "report": {"torch", "safetensors"}}
"""Packages of modules that these rules import something else from, inside functions they do not call."""


def imports_of(path):
    """Packages outside the standard library that a file imports anywhere, but for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - OWN


def rule_bodies():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        yield from re.findall(r"^rule (\w+):\n((?:[ ]{4}.*\n|\n)+)", text, re.MULTILINE)


@pytest.mark.parametrize(("name", "body"), list(rule_bodies()), ids=lambda value: value[:30])
def test_every_rule_finds_what_it_imports_in_its_environment(name, body):
    env = yaml.safe_load(
        (ROOT / "envs" / re.search(r"envs/(\w+\.yaml)", body)[1]).read_text(encoding="utf-8")
    )
    there = {CONDA_NAMES.get(entry.split(" ")[0], entry.split(" ")[0]) for entry in env["dependencies"]}
    modules = dependencies(*re.findall(r'"([\w.]+)"', re.search(r"code\(([^)]*)\)", body)[1]))
    library = ROOT / "scripts" / "consilience"
    wanted = {}
    for module in modules:
        path = library.joinpath(*module.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        for package in imports_of(file):
            package = BROUGHT_ALONG.get(package, package)
            wanted.setdefault(IMPORT_NAMES.get(package, package), module)
    there |= NOT_REACHED.get(name, set())
    missing = {package: module for package, module in wanted.items() if package not in there}
    assert not missing, f"{name}: {missing}"
