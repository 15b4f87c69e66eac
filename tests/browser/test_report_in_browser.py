"""The report as a person meets it: in a real browser, at a desk and on a phone, with a mouse and with keys."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consilience.report.page import write_report

pytestmark = pytest.mark.browser
HOSTILE = (
    """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'\u202eRTL <!--"""
)


@pytest.fixture(scope="module")
def page(make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = make_study(tmp_path_factory.mktemp("report"))
    write_report(**study.arguments())
    found: Path = study.page
    return found


@pytest.fixture(scope="module")
def hostile_page(make_study: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = make_study(tmp_path_factory.mktemp("hostile"), hostile=HOSTILE)
    write_report(**study.arguments())
    found: Path = study.page
    return found


SIZES = [(1280, 900, False), (390, 844, False), (390, 844, True), (320, 640, False), (768, 1024, True)]


@pytest.mark.parametrize(("width", "height", "dark"), SIZES)
def test_loads_quietly_and_fits(browser: Any, page: Path, width: int, height: int, dark: bool) -> None:
    check_quiet_and_fitting(browser, page, width=width, height=height, dark=dark)


@pytest.mark.parametrize(("width", "height", "dark"), SIZES[:2])
def test_the_report_of_the_demo(
    browser: Any, root: Path, require_or_skip: Callable[..., Any], width: int, height: int, dark: bool
) -> None:
    page = root / "results" / "demo" / "report" / "index.html"
    if not page.is_file():
        require_or_skip("demo", "the demo was not run here (make demo)")
    check_quiet_and_fitting(browser, page, width=width, height=height, dark=dark)


def check_quiet_and_fitting(browser: Any, page: Path, *, width: int, height: int, dark: bool) -> None:
    browser.open(page, width=width, height=height, dark=dark)
    browser.draw_everything()
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.complaints == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    outside = browser.run(
        """[...document.querySelectorAll('main *')].filter(node => !node.closest('.scroll, pre, .sr-only, svg, .alt')
        && node.getBoundingClientRect().right > innerWidth + 1).map(node => node.tagName + '.' + node.className)"""
    )
    assert outside == []
    n_figures = browser.run("document.querySelectorAll('figure').length")
    drawn = browser.run("[...document.querySelectorAll('.plot svg')].map(svg => Number(svg.dataset.marks))")
    assert len(drawn) == n_figures >= 15
    assert min(drawn) > 0
    paths = "[...document.querySelectorAll('.plot path')].filter(p => p.getAttribute('d').length > 8).length"
    assert browser.run(paths) >= n_figures


@pytest.mark.parametrize("dark", [False, True])
def test_the_picture_is_not_blank(browser: Any, page: Path, dark: bool) -> None:
    from PIL import Image

    browser.open(page, dark=dark)
    image = Image.open(io.BytesIO(browser.screenshot())).convert("L")
    values = image.histogram()
    assert sum(count > 0 for count in values) > 60
    background = max(range(256), key=lambda level: values[level])
    assert background < 60 if dark else background > 200
    assert values[background] < 0.97 * image.width * image.height


def test_hostile_names_do_nothing(browser: Any, hostile_page: Path) -> None:
    browser.open(hostile_page, width=390, height=844)
    browser.draw_everything()
    browser.run(
        "for (const svg of document.querySelectorAll('.plot svg')) { svg.focus(); svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'})) }"
    )
    browser.run("for (const b of document.querySelectorAll('.sort, .below button')) b.click()")
    assert browser.run("window.bad === undefined")
    assert browser.complaints == []
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run("document.querySelectorAll('script:not([type])').length") == 1
    assert browser.run("document.body.textContent.includes('{{7*7}}')")
    assert browser.run("document.documentElement.scrollWidth") <= 390


def test_injected_code_is_stopped_by_the_policy(browser: Any, page: Path) -> None:
    """Even if escaping failed one day: nothing but the page's own code runs, and nothing is loaded."""
    browser.open(page)
    browser.run(
        """(() => { const s = document.createElement('script'); s.textContent = 'window.bad = 1'; document.body.append(s);
        const i = document.createElement('img'); i.src = 'https://example.org/x.png'; document.body.append(i);
        const h = document.createElement('div'); h.innerHTML = '<p onclick="window.bad=1">x</p>'; document.body.append(h);
        h.firstChild.click(); })()"""
    )
    browser.run("new Promise(done => setTimeout(done, 200))")
    assert browser.run("window.bad === undefined")
    assert len([text for text in browser.complaints if "Content Security Policy" in text]) >= 3


def test_tables_sort_filter_and_grow(browser: Any, page: Path) -> None:
    browser.open(page)
    table = "document.querySelector('[data-table=\"removed.blood_cells\"]')"
    column = f"[...{table}.querySelectorAll('th')].findIndex(th => th.textContent.includes('Library size'))"
    values = f"[...{table}.querySelectorAll('tbody tr')].map(tr => Number(tr.cells[{column}].textContent.replace(/,/g, '')))"
    before = browser.run(values)
    browser.run(f"{table}.querySelectorAll('th button')[{column}].click()")
    down = browser.run(values)
    assert down == sorted(down, reverse=True)
    assert down != before
    assert browser.run(f"{table}.querySelectorAll('th')[{column}].getAttribute('aria-sort')") == "descending"
    browser.run(f"{table}.querySelectorAll('th button')[{column}].click()")
    assert browser.run(values) == sorted(browser.run(values))
    browser.run(
        f"while (!{table}.querySelector('.below button').hidden) {table}.querySelector('.below button').click()"
    )
    assert browser.run(f"{table}.querySelectorAll('tbody tr').length") == 143
    browser.run(
        f"{{ const i = {table}.querySelector('input'); i.value = 'doublet ACGT00003'; i.dispatchEvent(new Event('input')) }}"
    )
    browser.run("new Promise(done => setTimeout(done, 300))")
    assert browser.run(f"{table}.querySelectorAll('tbody tr').length") == 1
    assert "1 of 1" in browser.run(f"{table}.querySelector('.count').textContent")


def test_rows_look_the_same_before_and_after_scripts_touch_them(browser: Any, page: Path) -> None:
    """cells.py and tables.js must write numbers alike; sorting forth and back shows the script's version."""
    browser.open(page)
    tables = browser.run(
        """[...document.querySelectorAll('[data-table]')].map(holder => {
        const rows = () => [...holder.querySelectorAll('tbody tr')].map(tr => tr.textContent.replace(/\\s+/g, ' '));
        const before = rows(); const button = holder.querySelector('.below button');
        holder.querySelector('th button')?.click();
        while (!button.hidden) button.click();
        return [holder.dataset.table, before, rows()]; })"""
    )
    assert len(tables) > 20
    for name, before, after in tables:
        assert set(before) <= set(after), name


def test_charts_answer_mouse_keys_and_legend(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.draw_everything()
    figure = "document.getElementById('figure-tissue_geo-pca')"
    browser.run(f"{figure}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    box = json.loads(browser.run(f"JSON.stringify({figure}.querySelector('svg').getBoundingClientRect())"))
    ticks = f"{figure}.querySelector('.axes').textContent"
    before = browser.run(ticks)
    left, top = box["x"] + 0.45 * box["width"], box["y"] + 0.4 * box["height"]
    browser.call("Input.dispatchMouseEvent", type="mousePressed", x=left, y=top, button="left", clickCount=1)
    for step in (20, 60, 90):
        browser.call(
            "Input.dispatchMouseEvent", type="mouseMoved", x=left + step, y=top + step / 2, button="left"
        )
    browser.call(
        "Input.dispatchMouseEvent", type="mouseReleased", x=left + 90, y=top + 45, button="left", clickCount=1
    )
    assert browser.run(ticks) != before
    reset = f"[...{figure}.querySelectorAll('.tools button')].find(b => b.textContent === 'Reset zoom')"
    assert browser.run(f"{reset}.hidden") is False
    browser.run(f"{reset}.click()")
    assert browser.run(ticks) == before
    browser.run(f"{figure}.querySelector('svg').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39
        )
    assert "component 1" in browser.run("document.querySelector('.tip').textContent")
    assert browser.run(f"{figure}.querySelector('[aria-live]').textContent").startswith("GSM")
    marks = f"Number({figure}.querySelector('svg').dataset.marks)"
    whole = browser.run(marks)
    browser.run(f"{figure}.querySelector('.legend button').click()")
    assert 0 < browser.run(marks) < whole


def test_theme_button_and_keyboard_order(browser: Any, page: Path) -> None:
    browser.open(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.run("document.getElementById('theme').click(); document.getElementById('theme').click()")
    assert browser.run(ground) != light
    assert browser.run("document.documentElement.dataset.theme") == "dark"
    browser.run("localStorage.clear()")
    browser.open(page)
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0


CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => { for (; node; node = node.parentElement) {
    const c = parse(getComputedStyle(node).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || node.closest('script, style, .sr-only, .skip, .bar, [hidden], .tip')) continue;
    const style = getComputedStyle(node);
    const ink = parse(node.namespaceURI.includes('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push([node.tagName, node.className.baseVal ?? node.className, (a + 0.05) / (b + 0.05), walker.currentNode.textContent.slice(0, 30)]);
  }
  return bad;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_contrast(browser: Any, page: Path, dark: bool) -> None:
    browser.open(page, dark=dark)
    browser.draw_everything()
    assert browser.run(CONTRAST) == []


def test_useful_without_scripts(browser: Any, page: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.load(page)
        tree = browser.call("DOM.getDocument", depth=0)
        html = browser.call("DOM.getOuterHTML", nodeId=tree["root"]["nodeId"])["outerHTML"]
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "<td" in html
    assert 'class="alt"' in html
    assert '<button id="theme" type="button" class="quiet" hidden' in html


def test_print_shows_everything(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.draw_everything()
    printed = browser.call("Page.printToPDF", printBackground=True)["data"]
    assert len(printed) > 100_000
