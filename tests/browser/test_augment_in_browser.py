"""The sections of augmentation in a real browser: everything is drawn, names beside points, nothing overflows."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consilience.report.page import write_report

pytestmark = pytest.mark.browser
SECTIONS = ("augmentation", "temperature", "utility", "privacy", "robustness")
FRONTIER = "#figure-frontier-tissue_geo"


@pytest.fixture(scope="module")
def page(make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(__file__).parent.parent / "report" / "fixture_augment.py"
    spec = importlib.util.spec_from_file_location("consilience_fixture_augment", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    study = make_study(tmp_path_factory.mktemp("augment"))
    module.add_augment(study)
    write_report(**study.arguments())
    found: Path = study.page
    return found


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
        assert len(drawn) == n >= 2, key
        assert min(drawn) > 0, key


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
