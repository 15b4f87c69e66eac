"""The sections of RNAGAN in a real browser: everything is drawn, nothing overflows, nothing is loaded."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consilience.report.page import write_report

pytestmark = pytest.mark.browser
HOSTILE = """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'<!--"""
SECTIONS = ("models", "diagnosis", "markers", "synthetic", "vectors")


def write_page(make_study: Callable[..., Any], folder: Path, **more: Any) -> Path:
    path = Path(__file__).parent.parent / "report" / "fixture_rnagan.py"
    spec = importlib.util.spec_from_file_location("consilience_fixture_rnagan", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    study = make_study(folder, **more)
    module.add_rnagan(study)
    write_report(**study.arguments())
    found: Path = study.page
    return found


@pytest.fixture(scope="module")
def page(make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(make_study, tmp_path_factory.mktemp("rnagan"))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True), (320, False)])
def test_everything_is_drawn_and_fits(browser: Any, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, height=900, dark=dark)
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    browser.draw_everything()
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.complaints == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    for key in SECTIONS:
        n = browser.run(f"document.querySelectorAll('#{key} figure').length")
        drawn = browser.run(
            f"[...document.querySelectorAll('#{key} .plot svg')].map(svg => Number(svg.dataset.marks))"
        )
        assert len(drawn) == n >= 3, key
        assert min(drawn) > 0, key


def test_hostile_names_do_nothing(browser: Any, make_study: Callable[..., Any], tmp_path: Path) -> None:
    browser.open(write_page(make_study, tmp_path, hostile=HOSTILE))
    browser.draw_everything()
    assert browser.run("window.bad") is None
    assert browser.run("document.querySelectorAll('main img').length") == 0
    assert browser.complaints == []


def test_a_series_can_be_hidden(browser: Any, page: Path) -> None:
    """Eight methods in one figure are read one at a time."""
    browser.open(page)
    browser.draw_everything()
    find = "[...document.querySelectorAll('#diagnosis figure')].find(f => f.textContent.includes('AUC by number'))"
    before = browser.run(f"{find}.querySelectorAll('.plot path').length")
    browser.run(
        f"[...{find}.querySelectorAll('.legend button')].find(b => b.textContent === 'RNAGAN').click()"
    )
    assert browser.run(f"{find}.querySelectorAll('.plot path').length") == before - 3  # band, line, points
