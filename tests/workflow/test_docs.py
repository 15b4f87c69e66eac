"""Documentation points at things that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*/*.md"))]
PAGES = [page for page in dict.fromkeys(PAGES) if page.relative_to(ROOT).parts[0] not in {"results", ".venv"}]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for command in re.findall(r"`make ([a-z-]+)`", text):
        assert command in targets, f"{page.name} names make {command}"


def test_every_key_of_the_configuration_that_is_named_exists():
    from consilience.study.sections import Config

    sections = Config.model_fields
    for page in PAGES:
        for section, key in re.findall(
            r"`([a-z_]+)\.([a-z_]+)(?:\.[a-z_]+)*`", page.read_text(encoding="utf-8")
        ):
            if section in sections and key not in {"parquet", "tsv", "smk", "py"}:
                assert key in type(getattr(Config(), section)).model_fields, f"{page.name}: {section}.{key}"


def test_the_error_of_the_tutorial_is_the_one_a_newcomer_sees(tmp_path, monkeypatch):
    from consilience.foundation.errors import ConsilienceError
    from consilience.preflight import preflight
    from consilience.study.config import load_yaml

    sheet = (ROOT / "config" / "cohorts.tsv").read_text(encoding="utf-8").splitlines()
    row = next(number for number, line in enumerate(sheet) if line.startswith("rare_geo"))
    sheet[row] = sheet[row].replace("diseased", "disesed")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "cohorts.tsv").write_text("\n".join(sheet) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConsilienceError) as caught:
        preflight(load_yaml(ROOT / "config" / "config.yaml"))
    tutorial = " ".join((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8").split())
    assert " ".join(str(caught.value).split()) in tutorial
