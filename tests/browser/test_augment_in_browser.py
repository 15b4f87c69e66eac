"""The sections of augmentation in a real browser: everything is drawn, names beside points, nothing overflows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
SECTIONS = ("augmentation", "temperature", "utility", "privacy", "robustness")
FRONTIER = "#figure-frontier-tissue_geo"


@pytest.fixture(scope="module")
def page(write_stage_page: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stage_page("augment", tmp_path_factory.mktemp("augment"))


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True), (320, False)])
def test_everything_is_drawn_and_fits(
    assert_drawn: Callable[..., None], page: Path, width: int, dark: bool
) -> None:
    assert_drawn(page, sections=SECTIONS, least=2, width=width, dark=dark)


def test_names_beside_points_hide_none_of_each_other(browser: Any, page: Path) -> None:
    browser.open(page, width=1280, height=900)
    browser.draw_everything()
    boxes = browser.run(
        f"[...document.querySelectorAll('{FRONTIER} .point-name')].map(one => {{ const b = one.getBoundingClientRect();"
        " return [one.textContent, b.left, b.top, b.right, b.bottom]; })"
    )
    assert sorted(box[0] for box in boxes) == sorted(
        [
            "SMOTE",
            "VAE",
            "copula",
            "private factors",
            "published GAN",
            "published VAE",
            "real patients",
            "shrunk Gaussian",
        ]
    )
    for number, (_, left, top, right, bottom) in enumerate(boxes):
        for _, other_left, other_top, other_right, other_bottom in boxes[:number]:
            apart = (
                left >= other_right
                or right <= other_left
                or top >= other_bottom - 3
                or bottom - 3 <= other_top
            )
            assert apart


def test_a_hidden_series_takes_its_names_along(browser: Any, page: Path) -> None:
    browser.open(page, width=1280, height=900)
    browser.draw_everything()
    browser.run(
        f"[...document.querySelectorAll('{FRONTIER} .legend button')].find(b => b.textContent === 'classical').click()"
    )
    names = browser.run(
        f"[...document.querySelectorAll('{FRONTIER} .point-name')].map(one => one.textContent)"
    )
    assert not set(names) & {"SMOTE", "copula", "shrunk Gaussian"}
    assert "private factors" in names
