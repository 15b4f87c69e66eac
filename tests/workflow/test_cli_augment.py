"""`consilience augment`, typed as people type it: through real files, and never a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from augment.strangers import STRANGER, cohort, counts_of
from consilience import cli
from consilience.augment import generators as registry

SAMPLES = cohort(40)


def h5ad(path: Path, values: np.ndarray | None = None, **columns: object) -> Path:
    names = SAMPLES.names.tolist()
    obs = pd.DataFrame({"kind": SAMPLES.labels, **columns}, index=names)
    counts = counts_of(SAMPLES) if values is None else values
    anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(SAMPLES.genes))).write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    return h5ad(tmp_path_factory.mktemp("real") / "real.h5ad")


@pytest.fixture
def stranger(monkeypatch) -> None:
    """A generator that never looked at anybody is among the known ones."""
    known = dict(registry.generators()) | {"stranger": STRANGER}
    monkeypatch.setattr(registry, "generators", lambda: known)


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code, before = 0, sys.argv
    sys.argv = ["consilience", "augment", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    said = capsys.readouterr()
    return code, said.out, said.err


def test_synthetic_patients_of_a_file(capsys, real, tmp_path, stranger) -> None:
    out = tmp_path / "synthetic.h5ad"
    asked = ["--input", real, "--label", "kind", "--out", out, "--generator", "stranger", "--fold", "3"]
    code, said, _ = run(capsys, *asked, "--model", tmp_path / "model")
    assert code == 0, said
    for words in (
        "40 samples of 40 patients",
        "counts",
        "generator: stranger",
        "privacy, level balanced",
        "written:",
    ):
        assert words in said
    data, given = anndata.read_h5ad(out), anndata.read_h5ad(real)
    assert data.var_names.tolist() == given.var_names.tolist()
    assert data.obs["kind"].value_counts().to_dict() == {
        label: 3 * n for label, n in given.obs["kind"].value_counts().items()
    }
    assert data.obs["synthetic"].all()
    values = np.asarray(data.X)
    assert (values == np.floor(values)).all()
    assert data.uns["consilience"]["units"] == "counts"
    table = pd.read_parquet(out.with_suffix(".parquet"))
    assert (table[list(given.var_names)].to_numpy() == values).all()
    metrics, privacy = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("metrics", "privacy")
    )
    assert metrics["released"]
    assert privacy["passed"]
    assert "may they be given out? " in (tmp_path / "card.md").read_text(encoding="utf-8").lower().replace(
        "\n", " "
    )
    before, sys.argv = sys.argv, ["consilience", "info", str(tmp_path / "model")]
    try:
        with pytest.raises(SystemExit):
            cli.main()
    finally:
        sys.argv = before
    told = capsys.readouterr().out
    for words in ("augment", "generator: stranger", "genes: 300", "sick", "balanced"):
        assert words in told


def test_the_same_seed_gives_the_same_samples_and_json_can_be_read(capsys, real, tmp_path, stranger) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out = tmp_path / name / "x.h5ad"
        code, said, _ = run(capsys, "--input", real, "--label", "kind", "--out", out, "--generator", "stranger",
                            "--fold", "2", "--seed", seed, "--json")  # fmt: skip
        assert code == 0
        assert json.loads(said)["generator"] == "stranger"
        found.append(np.asarray(anndata.read_h5ad(out).X))
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()


def test_who_copies_is_refused_and_older_samples_do_not_stay(capsys, real, tmp_path) -> None:
    out = tmp_path / "synthetic.h5ad"
    out.write_text("of an earlier run")
    code, _, error = run(capsys, "--input", real, "--label", "kind", "--out", out, "--generator", "bootstrap_noise",
                         "--temperature", "1", "--fold", "2")  # fmt: skip
    assert code == 1
    assert "not released" in error
    assert "Traceback" not in error
    assert not out.exists()
    assert not json.loads((tmp_path / "privacy.json").read_text())["passed"]
    assert "No, not at the level" in (tmp_path / "card.md").read_text(encoding="utf-8")


def test_auto_says_what_it_compared_and_why(capsys, real, tmp_path) -> None:
    code, said, _ = run(
        capsys, "--input", real, "--label", "kind", "--out", tmp_path / "x.h5ad", "--compare", "smote", "--compare",
        "shrunk_gaussian", "--splits", "2", "--privacy", "none", "--fold", "2", "--temperature", "1", "--json",
    )  # fmt: skip
    assert code == 0
    told = json.loads(said)
    assert told["generator"] == "shrunk_gaussian"  # samples of smote are near copies
    assert "keeps" in told["why"] or "keep" in told["why"]
    assert {one["generator"] for one in told["compared"]} == {"smote", "shrunk_gaussian"}


def test_tables_and_other_columns(capsys, tmp_path, stranger) -> None:
    logs = pd.DataFrame(SAMPLES.values, index=SAMPLES.names, columns=list(SAMPLES.genes)).T
    logs.index.name = "gene"
    logs.to_csv(tmp_path / "logs.tsv", sep="\t")
    told = pd.DataFrame({"sample": SAMPLES.names, "kind": SAMPLES.labels, "who": SAMPLES.names})
    told.to_csv(tmp_path / "told.tsv", sep="\t", index=False)
    code, said, error = run(
        capsys, "--input", tmp_path / "logs.tsv", "--label", "kind", "--labels", tmp_path / "told.tsv", "--donor", "who",
        "--units", "log1p", "--out", tmp_path / "x.h5ad", "--generator", "stranger", "--fold", "1",
    )  # fmt: skip
    assert code == 0, error
    data = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert data.var_names.tolist() == list(SAMPLES.genes)
    assert float(np.asarray(data.X).max()) < 15
    assert "no column says otherwise" not in said


def changed(**change):
    def make(path: Path) -> Path:
        values = counts_of(SAMPLES)
        if "value" in change:
            values[3, 7] = change["value"]
        if change.get("logs"):
            values = np.log1p(values) - 1.0
        columns = {}
        if "kinds" in change:
            columns["kind"] = change["kinds"]
        return h5ad(path, values, **columns)

    return make


ONE_SICK = np.where(np.arange(40) == 0, "sick", "well")
SOME_MISSING = np.where(np.arange(40) < 2, "", SAMPLES.labels)


@pytest.mark.parametrize(
    ("make", "more", "said"),
    [
        (changed(), {"--label": "sort"}, "kind"),
        (changed(), {"--donor": "nobody"}, "no such column"),
        (changed(), {"--generator": "smoty"}, "smote"),
        (changed(), {"--generator": "rnagan"}, "consilience synthesise"),
        (changed(), {"--privacy": "copies"}, "balanced"),
        (changed(), {"--temperature": "warm"}, "auto"),
        (changed(), {"--temperature": "0"}, "auto"),
        (changed(), {"--units": "furlongs"}, "no such units"),
        (changed(), {"--units": "log1p"}, "whole numbers|not natural log|largest value|logarithm"),
        (changed(), {"--out": "x.txt"}, ".h5ad"),
        (changed(value=np.nan), {}, "s003.*g007|no usable value|missing"),
        (changed(value=-3.0), {}, "zero|below|usable"),
        (changed(kinds=ONE_SICK), {}, "too few patients"),
        (changed(kinds=SOME_MISSING), {}, "labels are missing"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_a_message(capsys, tmp_path, make, more, said) -> None:
    import re

    given = {"--input": make(tmp_path / "real.h5ad"), "--label": "kind", "--out": tmp_path / "x.h5ad",
             "--generator": "shrunk_gaussian"} | more  # fmt: skip
    if more.get("--out"):
        given["--out"] = tmp_path / more["--out"]
    code, _, error = run(capsys, *(part for pair in given.items() for part in pair))
    assert code == 1
    assert "Traceback" not in error
    assert re.search(said, error), error
    assert not (tmp_path / "x.h5ad").exists()


def test_what_a_reader_must_know_is_told(capsys, tmp_path, stranger) -> None:
    """Constant genes, few patients, a batch that is the class, patients who are there twice."""
    counts = counts_of(SAMPLES)
    counts[5] = counts[4]
    path = h5ad(tmp_path / "real.h5ad", counts, batch=SAMPLES.labels, patient=[f"p{k}" for k in range(40)])
    code, said, error = run(capsys, "--input", path, "--label", "kind", "--out", tmp_path / "x.h5ad", "--generator",
                            "stranger", "--fold", "1")  # fmt: skip
    assert code == 0, error
    for words in ("patients are read from column 'patient'", "s004 and s005", "may be the batch"):
        assert words in said
