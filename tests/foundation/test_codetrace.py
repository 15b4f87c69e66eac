"""The code digest of a rule changes with the modules that the rule reaches, and with no others."""

import shutil

import pytest

from consilience.foundation import codetrace
from consilience.foundation.codetrace import PLUMBING, code, dependencies


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the library that may be edited."""
    package = tmp_path / "consilience"
    shutil.copytree(codetrace.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(codetrace, "PACKAGE", package)
    codetrace._imports_of.cache_clear()
    yield package
    codetrace._imports_of.cache_clear()


def test_lazy_and_indirect_imports_are_followed(copy):
    (copy / "study" / "one.py").write_text("def f():\n    from consilience.study import two\n")
    (copy / "study" / "two.py").write_text("import consilience.study.three\n")
    (copy / "study" / "three.py").write_text("")
    assert {"study.one", "study.two", "study.three"} <= dependencies("study.one")


def test_digest_follows_the_modules_reached(copy):
    before = code("study.sheet")
    (copy / "study" / "sections.py").write_text("# not imported by the sheet\n")
    assert code("study.sheet") == before
    with (copy / "study" / "cohorts.py").open("a") as handle:
        handle.write("# imported by the sheet\n")
    assert code("study.sheet") != before


def test_plumbing_reruns_nothing(copy):
    before = code("sources.fetch")
    with (copy / "foundation" / "errors.py").open("a") as handle:
        handle.write("# a better message\n")
    assert code("sources.fetch") == before
    assert not PLUMBING & dependencies("sources.fetch")


def test_unknown_module_is_an_error():
    with pytest.raises(ValueError, match="no module 'nonsense'"):
        code("nonsense")
