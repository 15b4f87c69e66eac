"""The sections of RNAGAN in a real browser: everything is drawn, nothing overflows, nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
HOSTILE = """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'<!--"""
SECTIONS = ("models", "diagnosis", "markers", "synthetic", "vectors")


@pytest.fixture(scope="module")
def page(write_stage_page: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stage_page("rnagan", tmp_path_factory.mktemp("rnagan"))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True), (320, False)])
def test_everything_is_drawn_and_fits(
    assert_drawn: Callable[..., None], page: Path, width: int, dark: bool
) -> None:
    assert_drawn(page, sections=SECTIONS, least=3, width=width, dark=dark)


def test_hostile_names_do_nothing(
    browser: Any, write_stage_page: Callable[..., Path], tmp_path: Path
) -> None:
    browser.open(write_stage_page("rnagan", tmp_path, hostile=HOSTILE))
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
