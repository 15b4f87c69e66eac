"""The causal sections in a real browser: everything is drawn, names stay beside their points, nothing overflows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
SECTIONS = ("twmr", "dml", "concordance")
VOLCANO = "#figure-twmr-volcano-gwas_eqtl"


@pytest.fixture(scope="module")
def page(write_stage_page: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stage_page("causal", tmp_path_factory.mktemp("causal"))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True), (320, False)])
def test_everything_is_drawn_and_fits(
    assert_drawn: Callable[..., None], page: Path, width: int, dark: bool
) -> None:
    assert_drawn(page, sections=SECTIONS, least=5, width=width, dark=dark)


def test_names_of_genes_hide_none_of_each_other(browser: Any, page: Path) -> None:
    browser.open(page, width=1280, height=900)
    browser.draw_everything()
    boxes = browser.run(
        f"[...document.querySelectorAll('{VOLCANO} .point-name')].map(one => {{ const b = one.getBoundingClientRect();"
        " return [b.left, b.top, b.right, b.bottom]; })"
    )
    assert boxes
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other_left, other_top, other_right, other_bottom in boxes[:number]:
            assert (
                left >= other_right
                or right <= other_left
                or top >= other_bottom - 3
                or bottom - 3 <= other_top
            )


def test_names_of_rows_are_not_cut_off(browser: Any, page: Path) -> None:
    """Symbols of genes are capitals, which are wider than the letters of words."""
    browser.open(page, width=1280, height=900)
    browser.draw_everything()
    cut = browser.run(
        "[...document.querySelectorAll('#twmr figure[data-figure^=\"twmr-forest\"] svg')].flatMap(svg => {"
        " const edge = svg.getBoundingClientRect().left - 1;"
        " return [...svg.querySelectorAll('.axes text')].filter(t => t.getBoundingClientRect().left < edge)"
        ".map(t => t.textContent); })"
    )
    assert cut == []


def test_a_hidden_series_takes_its_intervals_along(browser: Any, page: Path) -> None:
    figure = "#figure-twmr-forest-gwas_eqtl"
    browser.open(page, width=1280, height=900)
    browser.draw_everything()
    count = f"Number(document.querySelector('{figure} svg').dataset.marks)"
    before = browser.run(count)
    browser.run(
        f"[...document.querySelectorAll('{figure} .legend button')].find(b => b.textContent === 'Egger').click()"
    )
    assert browser.run(count) < before
