"""A headless browser, and the made-up study of the report tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


def load(name: str, path: Path) -> ModuleType:
    """Load a helper from its file (tests are not packages)."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser(require_or_skip: Callable[..., Any]) -> Iterator[Any]:
    """One headless Chromium for all tests; skips where there is none."""
    devtools = load("consilience_devtools", HERE / "devtools.py")
    program = devtools.find_chromium()
    if program is None:
        require_or_skip(
            "browser", "no Chromium on this machine; install it or set CONSILIENCE_CHROMIUM to its program"
        )
    with devtools.Browser(program) as driver:
        yield driver


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Any]:
    """Writes a results folder and returns the arguments of write_report."""
    return load("consilience_fixture_study", HERE.parent / "report" / "fixture_study.py").make_study


@pytest.fixture(scope="session")
def write_stage_page(make_study: Callable[..., Any]) -> Callable[..., Path]:
    """Writes the page of a made-up study in which one stage (rnagan, augment, causal) ran."""

    def write(stage: str, folder: Path, **more: Any) -> Path:
        from consilience.report.page import write_report

        fixture = load(f"consilience_fixture_{stage}", HERE.parent / "report" / f"fixture_{stage}.py")
        study = make_study(folder, **more)
        getattr(fixture, f"add_{stage}")(study)
        write_report(**study.arguments())
        found: Path = study.page
        return found

    return write


@pytest.fixture(scope="session")
def assert_drawn(browser: Any) -> Callable[..., None]:
    """Every figure of these sections is drawn, nothing is loaded from elsewhere, nothing overflows the width."""

    def check(page: Path, *, sections: tuple[str, ...], least: int, width: int, dark: bool) -> None:
        browser.open(page, width=width, height=900, dark=dark)
        browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        browser.draw_everything()
        assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
        assert browser.complaints == []
        assert browser.run("document.documentElement.scrollWidth") <= width
        for key in sections:
            n = browser.run(f"document.querySelectorAll('#{key} figure').length")
            drawn = browser.run(
                f"[...document.querySelectorAll('#{key} .plot svg')].map(svg => Number(svg.dataset.marks))"
            )
            assert len(drawn) == n >= least, key
            assert min(drawn) > 0, key

    return check
