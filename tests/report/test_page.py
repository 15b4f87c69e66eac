"""The page as a whole: self-contained, escaped, deterministic, within its size, clear when inputs are broken."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import html5lib
import pytest

from consilience.foundation.errors import DataError
from consilience.report.page import block_json, write_report
from consilience.study.sections import ReportSection

H = "{http://www.w3.org/1999/xhtml}"
HOSTILE = """</script><script>window.bad=1</script><img src=x onerror=window.bad=1> {{7*7}} "'`\u202eRTL <!-- ${1}"""


def parse(page: Path) -> ElementTree.Element:
    parsed: ElementTree.Element = html5lib.parse(page.read_text(encoding="utf-8"), namespaceHTMLElements=True)
    return parsed


def tags(tree: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return list(tree.iter(f"{H}{name}"))


def all_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_everything_promised_is_written(study: Any) -> None:
    write_report(**study.arguments())
    written = {path.name for path in (study.results / "provenance").iterdir()}
    assert written == {"versions.tsv", "methods.md", "citations.bib", "run.json"}
    tree = parse(study.page)
    tables = {p.stem for p in (study.results / "report" / "tables").glob("*.tsv")}
    linked = {
        a.get("href", "")[len("tables/") : -len(".tsv")]
        for a in tags(tree, "a")
        if "tables/" in a.get("href", "")
    }
    assert linked <= tables
    assert {"cohorts", "removed.blood_cells", "samples.tissue_geo", "pathways", "gene_changes"} <= linked


def test_structure_is_accessible(study: Any) -> None:
    write_report(**study.arguments())
    tree = parse(study.page)
    assert tags(tree, "html")[0].get("lang") == "en"
    assert [len(tags(tree, name)) for name in ("main", "h1", "header")][:2] == [1, 1]
    ids = [node.get("id") for node in tree.iter() if node.get("id")]
    assert len(ids) == len(set(ids)), sorted(i for i in set(ids) if ids.count(i) > 1)
    inner = [a.get("href", "")[1:] for a in tags(tree, "a") if a.get("href", "").startswith("#")]
    assert "content" in inner  # the skip link
    assert not [target for target in inner if target not in ids]
    levels = [
        int(node.tag[-1])
        for node in tree.iter()
        if isinstance(node.tag, str) and re.fullmatch(rf"{H}h[1-6]", node.tag)
    ]
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert all(node.get("aria-label") for node in tree.iter("{http://www.w3.org/2000/svg}svg"))


def test_nothing_is_loaded_and_only_own_code_may_run(study: Any) -> None:
    write_report(**study.arguments())
    tree = parse(study.page)
    policy = next(
        m.get("content", "") for m in tags(tree, "meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    for node in tree.iter():
        assert not [name for name in node.attrib if name.startswith("on") or name == "style"]
        assert node.get("src") is None
    assert [link.get("href") for link in tags(tree, "link")] == ["data:,"]
    assert "@import" not in study.page.read_text()
    assert "url(" not in "".join(style.text or "" for style in tags(tree, "style"))


def test_policy_digests_match_the_code(study: Any) -> None:
    import base64
    import hashlib

    write_report(**study.arguments())
    tree = parse(study.page)
    policy = next(
        m.get("content", "") for m in tags(tree, "meta") if m.get("http-equiv") == "Content-Security-Policy"
    )
    code = [s.text or "" for s in tags(tree, "script") if s.get("type") is None]
    for text in [*code, *(s.text or "" for s in tags(tree, "style"))]:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert len(code) == 1


def test_hostile_names_stay_text(make_study: Any, tmp_path: Path) -> None:
    plain, hostile = make_study(tmp_path / "plain"), make_study(tmp_path / "hostile", hostile=HOSTILE)
    for study in (plain, hostile):
        write_report(**study.arguments())
    trees = [parse(plain.page), parse(hostile.page)]
    for name in (
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "meta",
        "link",
        "style",
        "svg",
    ):
        counts = [len(tags(tree, name)) for tree in trees]
        assert counts[0] == counts[1], name
    whole = "".join(trees[1].itertext())
    assert HOSTILE in whole  # shown as it is
    assert "{{7*7}}" in whole
    for block in tags(trees[1], "script"):
        if block.get("type") == "application/json":
            json.loads(block.text or "")
    tables = (hostile.results / "report" / "tables").glob("*.tsv")
    for table in tables:
        lines = table.read_text(encoding="utf-8").split("\n")
        assert len({line.count("\t") for line in lines[:-1]}) == 1, table.name


@pytest.mark.parametrize("text", ["</script>", "<!--", "\u2028", "]]>", "&lt;", 'a"b\\'])
def test_json_blocks_cannot_be_left(text: str) -> None:
    block = str(block_json({"x": text}))
    assert json.loads(block) == {"x": text}
    assert not re.search("[<>&\u2028\u2029]", block)


def test_same_results_give_the_same_bytes(study: Any) -> None:
    write_report(**study.arguments())
    first = all_files(study.results)
    write_report(**study.arguments())
    assert all_files(study.results) == first


def test_only_the_date_changes(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(**study.arguments())
    first = study.page.read_text()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1863700000")
    write_report(**study.arguments())
    second = study.page.read_text()
    assert first != second
    for text in ("2025-11-21T04:40:00Z", "21 November 2025"):
        assert text in first
    assert (
        second.replace("2029-01-21T14:26:40Z", "2025-11-21T04:40:00Z").replace(
            "21 January 2029", "21 November 2025"
        )
        == first
    )


def test_tables_of_removed_cohorts_go(study: Any) -> None:
    write_report(**study.arguments())
    study.cohorts = [cohort for cohort in study.cohorts if cohort.name != "rare_geo"]
    write_report(**study.arguments())
    names = {path.name for path in (study.results / "report" / "tables").iterdir()}
    assert not any("rare_geo" in name for name in names)
    assert "removed.tissue_geo.tsv" in names


def test_no_name_is_left_under_pseudonyms(make_study: Any, tmp_path: Path) -> None:
    study = make_study(tmp_path, pseudonyms=True)
    write_report(**study.arguments())
    real = {name for names in study.samples.values() for name in names}
    donors = {row["donor"] for path in (study.results / "expression").glob("*.qc.json")
              for row in json.loads(path.read_text())["samples"]}  # fmt: skip
    assert len(real) > 80
    assert len(donors) > 80
    for folder in ("report", "provenance"):
        for name, content in all_files(study.results / folder).items():
            words = set(re.findall(r"[A-Za-z]+\d+", content.decode()))
            assert not words & (real | donors), name
    samples = (study.results / "report" / "tables" / "samples.tissue_geo.tsv").read_text().splitlines()
    assert re.match(r"S\d{3}\tD\d{3}\t", samples[1])


def test_too_large_a_page_is_refused_with_the_reason(study: Any) -> None:
    study.config = study.config.model_copy(update={"report": ReportSection(max_megabytes=0.05)})
    with pytest.raises(
        DataError, match=r"index\.html.*larger than.*at most 0\.05 MB.*largest sections are Quality"
    ) as found:
        write_report(**study.arguments())
    assert "report.max_megabytes" in str(found.value)
    assert not study.page.exists()


BROKEN = [
    ("expression/tissue_geo.qc.json", "expression/tissue_geo.qc.json"),
    ("expression/blood_cells.removed.parquet", "blood_cells.removed.parquet"),
    ("raw/rare_geo/provenance.json", "raw/rare_geo/provenance.json"),
    ("summary_statistics/gwas_eqtl/qc.json", "gwas_eqtl/qc.json"),
    ("pathways/coverage.json", "pathways/coverage.json"),
    ("truth/found.json", "truth/found.json"),
    ("truth/truth.json", "truth/truth.json"),
    ("truth/genes.parquet", "truth/genes.parquet"),
]


@pytest.mark.parametrize(("path", "named"), BROKEN)
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "html", "wrong"])
def test_broken_inputs_are_named(study: Any, path: str, named: str, how: str) -> None:
    file = study.results / path
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    else:
        changed = {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "html": b"<html>404</html>",
            "wrong": b"[1, 2]",
        }
        file.write_bytes(changed[how])
    with pytest.raises(DataError, match=re.escape(named)):
        write_report(**study.arguments())
    assert not study.page.exists()


def test_wrong_types_are_named_with_their_place(study: Any) -> None:
    file = study.results / "expression" / "tissue_geo.qc.json"
    record = json.loads(file.read_text())
    record["samples"][3]["kept"] = "perhaps"
    del record["n_in"]
    file.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"(?s)2 problems.*n_in.*samples\.3\.kept.*'perhaps'"):
        write_report(**study.arguments())


def test_studies_of_one_kind_only(study: Any) -> None:
    for kind in ("bulk", "single_cell", "summary_statistics"):
        part = [cohort for cohort in study.cohorts if cohort.kind == kind]
        write_report(**(study.arguments() | {"cohorts": part}))
        sections = [
            node.get("id")
            for node in tags(parse(study.page), "section")
            if "stage" in (node.get("class") or "")
        ]
        assert sections[0] == "cohorts"
        assert ("pathways" in sections) is (kind != "summary_statistics")


def test_missing_benchmarks_are_no_error(study: Any, tmp_path: Path) -> None:
    write_report(**(study.arguments() | {"benchmarks": tmp_path / "nowhere"}))
    assert "No job times were recorded" in study.page.read_text()


def test_two_hundred_cohorts_fit(study: Any, tmp_path: Path) -> None:
    import shutil
    from dataclasses import replace

    bulk = next(cohort for cohort in study.cohorts if cohort.name == "tissue_geo")
    many = []
    for number in range(200):
        name = f"c{number:03d}"
        many.append(replace(bulk, name=name, label=f"Cohort {number}", source="local"))
        for old, new in (
            (f"expression/{bulk.name}.qc.json", f"expression/{name}.qc.json"),
            (f"expression/{bulk.name}.removed.parquet", f"expression/{name}.removed.parquet"),
            (f"raw/{bulk.name}/provenance.json", f"raw/{name}/provenance.json"),
        ):
            (study.results / new).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(study.results / old, study.results / new)
    write_report(**(study.arguments() | {"cohorts": many}))
    assert study.page.stat().st_size < 10e6
    assert len([node for node in tags(parse(study.page), "details") if node.get("class") == "group"]) == 200
