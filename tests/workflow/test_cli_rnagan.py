"""The commands that use a model, typed as people type them: through real files, and never a traceback."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from consilience import cli
from rnagan.small_models import GENES, SYMBOLS, make_counts, make_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    make_model().save(folder)
    return folder


def h5ad(path: Path, n: int, *, seed: int, **change) -> Path:
    counts, labels = make_counts(n, seed=seed)
    names = [f"s{seed}-{k:02d}" for k in range(n)]
    obs = pd.DataFrame({"kind": labels, "donor": names}, index=names)
    data = anndata.AnnData(counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=list(SYMBOLS)))
    for name, value in change.items():
        setattr(data, name, value(data))
    data.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {
        "references": h5ad(folder / "refs.h5ad", 24, seed=1),
        "samples": h5ad(folder / "new.h5ad", 9, seed=2),
    }


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """As `main` does: exit code, stdout, stderr."""
    code, before = 0, sys.argv
    sys.argv = ["consilience", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    said = capsys.readouterr()
    return code, said.out, said.err


def asking(folder, files, **options) -> list[object]:
    given = {
        "--model": folder,
        "--references": files["references"],
        "--label": "kind",
        "--positive": "sick",
    } | {f"--{key.replace('_', '-')}": value for key, value in options.items()}
    return [part for pair in given.items() for part in pair]


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep="\t")


def test_info_says_what_a_folder_is(capsys, model) -> None:
    code, out, _ = run(capsys, "info", model)
    assert code == 0
    for text in ("rnagan", "preset: published", "genes: 100", "pathways: 9", "planted", "sick 12"):
        assert text in out
    code, out, _ = run(capsys, "info", model, "--json")
    assert json.loads(out)["genes"] == 100
    assert "# RNAGAN model" in run(capsys, "info", model, "--card")[1]


@pytest.mark.parametrize("suffix", [".tsv", ".parquet"])
def test_vectors_are_written_with_their_nearest(capsys, model, files, tmp_path, suffix) -> None:
    out = tmp_path / f"v{suffix}"
    code, said, error = run(capsys, "vectors", "--model", model, "--samples", files["samples"], "--out", out,
                            "--nearest", files["references"], "--label", "kind")  # fmt: skip
    assert code == 0, error
    assert "genes matched 100/100" in said
    assert "units: counts" in said
    table = read(out)
    assert list(table.columns) == ["sample", *(f"v{k}" for k in range(64))]
    assert list(table["sample"]) == [f"s2-{k:02d}" for k in range(9)]
    near = read(tmp_path / "v.nearest.tsv")
    assert list(near.columns[:2]) == ["sample", "rank"]
    assert len(near) == 45


def test_vectors_go_into_a_copy_of_the_h5ad_file(capsys, model, files, tmp_path) -> None:
    out = tmp_path / "v.h5ad"
    assert run(capsys, "vectors", "--model", model, "--samples", files["samples"], "--out", out)[0] == 0
    found = anndata.read_h5ad(out)
    assert found.obsm["X_rnagan"].shape == (9, 64)
    assert list(found.obs["kind"]) == list(anndata.read_h5ad(files["samples"]).obs["kind"])


def poisoned(model: Path, folder: Path) -> Path:
    """A model whose weights are a pickle that would write a file."""
    bad = Path(shutil.copytree(model, folder / "poisoned"))

    class Evil:
        def __reduce__(self):
            return (Path.touch, (folder / "ran",))

    (bad / "model.safetensors").write_bytes(pickle.dumps(Evil()))
    return bad


def cut(model: Path, folder: Path) -> Path:
    bad = Path(shutil.copytree(model, folder / "cut"))
    whole = (bad / "model.safetensors").read_bytes()
    (bad / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    return bad


def edited(name: str, old: str, new: str):
    def make(model: Path, folder: Path) -> Path:
        bad = Path(shutil.copytree(model, folder / "edited"))
        (bad / name).write_text((bad / name).read_text().replace(old, new, 1))
        return bad

    return make


BAD_MODELS = {
    "a pickle": (poisoned, "pickle"),
    "cut weights": (cut, "cut short"),
    "an edited record": (
        edited("model.json", '"log1p_cp10k"', '"log1p_cpm"'),
        "changed after it was written",
    ),
    "no folder": (lambda model, folder: folder / "nothing", "no model folder"),
    "an empty folder": (lambda model, folder: folder, "files are missing"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
@pytest.mark.parametrize("command", ["vectors", "diagnose", "markers", "synthesise"])
def test_a_bad_model_ends_in_one_sentence(capsys, model, files, tmp_path, name, command) -> None:
    make, message = BAD_MODELS[name]
    bad, out = make(model, tmp_path), tmp_path / ("o.h5ad" if command == "synthesise" else "o.tsv")
    asked = [] if command == "vectors" else asking(bad, files)
    if command == "vectors":
        asked = ["--model", bad]
    if command in {"vectors", "diagnose"}:
        asked += ["--samples", files["samples"]]
    if command == "synthesise":
        asked = [
            part
            for pair in zip(asked[::2], asked[1::2], strict=True)
            if pair[0] != "--positive"
            for part in pair
        ]
    code, _, error = run(capsys, command, *asked, "--out", out)
    assert code == 1
    assert message in error
    assert "Traceback" not in error
    assert not out.exists()
    assert not (tmp_path / "ran").exists()


def table_of(change, **options):
    """A text table genes x samples after a change of its values."""

    def make(folder: Path) -> Path:
        counts, _ = make_counts(8, seed=4)
        values = pd.DataFrame(counts.T.astype(float), index=pd.Index(SYMBOLS, name="gene"),
                              columns=[f"n{k}" for k in range(8)])  # fmt: skip
        values = change(values)
        values.to_csv(folder / "new.tsv", sep="\t")
        return folder / "new.tsv"

    return make


def at(row, column, value):
    def change(values):
        values.iloc[row, column] = value
        return values

    return change


BAD_SAMPLES = {
    "unknown gene ids": (table_of(lambda v: v.set_axis([f"probe{k}" for k in range(len(v))])),
                         "only 0 of the model's 100 genes"),
    "too few genes": (table_of(lambda v: v.iloc[60:]), "only 40 of the model's 100 genes (40.0%)"),
    "a missing value": (table_of(at(3, 2, np.nan)), f"sample 'n2', gene {SYMBOLS[3]!r}"),
    "a negative value": (table_of(at(3, 2, -1.0)), "n2|units|below zero"),
    "an empty sample": (table_of(lambda v: v.assign(n5=0.0)), "zero in all genes: n5"),
    "arrays for a model of reads": (table_of(lambda v: np.log2(v + 40.0) + np.random.default_rng(0).normal(0, 0.1, v.shape)),
                                    "one cannot be turned into the other"),
    "z-scores": (table_of(lambda v: v.sub(v.mean(axis=1), axis=0).div(v.std(axis=1), axis=0)), "z-scores"),
    "twins": (table_of(lambda v: v.set_axis(["n0", "n0", *v.columns[2:]], axis=1)), "n0"),
    "a word": (table_of(lambda v: at(3, 2, "many")(v.astype(object))), "many"),
    "no samples": (table_of(lambda v: v.iloc[:, :0]), "no samples|no genes|header"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SAMPLES)
def test_bad_samples_end_in_one_sentence(capsys, model, tmp_path, name) -> None:
    make, message = BAD_SAMPLES[name]
    code, said, error = run(
        capsys, "vectors", "--model", model, "--samples", make(tmp_path), "--out", tmp_path / "v.tsv"
    )
    assert code == 1, said
    assert any(one in error for one in message.split("|")), error
    assert error.count("\n") <= 2
    assert not (tmp_path / "v.tsv").exists()


def test_an_output_of_another_suffix_is_refused_before_any_work(capsys, model, files, tmp_path) -> None:
    code, _, error = run(
        capsys, "vectors", "--model", tmp_path / "absent", "--samples", "x", "--out", tmp_path / "v.xlsx"
    )
    assert code == 1
    assert "allowed: .parquet, .tsv, .h5ad" in error


def test_help_and_check_do_not_import_torch() -> None:
    text = (
        "import sys\nfrom typer.testing import CliRunner\nfrom consilience.cli import app\n"
        "print(CliRunner().invoke(app, ['--help']).output, CliRunner().invoke(app, ['diagnose', '--help']).output)\n"
        "heavy = {'torch', 'pandas', 'scipy', 'anndata', 'sklearn', 'h5py', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("diagnose", "markers", "vectors", "synthesise", "info"):
        assert name in done.stdout


def test_markers_are_written_with_genes_and_pathways(capsys, model, files, tmp_path) -> None:
    out = tmp_path / "m.tsv"
    code, said, error = run(capsys, "markers", *asking(model, files), "--permutations", 10, "--resamples", 2,
                            "--out", out)  # fmt: skip
    assert code == 0, error
    table = read(out)
    assert list(table.columns[:5]) == ["feature", "kind", "effect", "fdr", "stability"]
    assert table["kind"].value_counts().to_dict() == {"gene": 100, "pathway": 9}
    assert "FDR of 5% or less" in said


def test_diagnosis_gives_a_row_for_each_sample(capsys, model, files, tmp_path) -> None:
    out = tmp_path / "d.parquet"
    code, said, error = run(capsys, "diagnose", *asking(model, files), "--samples", files["samples"], "--draws", 20,
                            "--out", out)  # fmt: skip
    assert code == 0, error
    table = read(out)
    assert list(table.columns[:6]) == ["sample", "probability", "low", "high", "ood", "n_genes_matched"]
    assert ((table["low"] <= table["probability"]) & (table["probability"] <= table["high"])).all()
    assert (table["n_genes_matched"] == 100).all()
    for text in (
        "genes matched 100/100",
        "units: counts",
        "out of distribution:",
        "12 positive (sick)",
        "12 negative",
    ):
        assert text in said
    again = tmp_path / "again.tsv"
    summary = json.loads(run(capsys, "diagnose", *asking(model, files), "--samples", files["samples"], "--draws",
                             20, "--out", again, "--json")[1])  # fmt: skip
    assert summary["mode"] == "two kinds"
    assert summary["new"]["genes_matched"] == 100
    np.testing.assert_allclose(read(again)["probability"], table["probability"])


def test_one_kind_of_references_is_enough_and_is_said(capsys, model, files, tmp_path) -> None:
    code, said, error = run(capsys, "diagnose", *asking(model, files), "--only-positive", "--draws", 20,
                            "--samples", files["samples"], "--out", tmp_path / "d.tsv")  # fmt: skip
    assert code == 0, error
    assert "how typical of the positive kind" in said


def test_samples_that_are_references_too_are_told(capsys, model, files, tmp_path) -> None:
    code, said, error = run(capsys, "diagnose", *asking(model, files), "--samples", files["references"],
                            "--draws", 20, "--out", tmp_path / "d.tsv")  # fmt: skip
    assert code == 0, error
    assert "24 samples are of patients who are references too" in said


def few(folder: Path, n: int) -> Path:
    return h5ad(folder / f"few{n}.h5ad", n, seed=1)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_one_to_three_references_of_a_kind_are_enough_and_the_note_says_what_it_costs(
    capsys, model, files, tmp_path, n
) -> None:
    refs = h5ad(tmp_path / f"few{n}.h5ad", n, seed=1)
    code, said, error = run(capsys, "diagnose", *asking(model, files, references=refs), "--samples",
                            files["samples"], "--draws", 20, "--out", tmp_path / "d.tsv")  # fmt: skip
    assert code == 0, error
    expected = (
        "the interval is everything from 0 to 1" if n == 2 else f"only {n // 2} positive reference patients"
    )
    assert expected in said
    table = read(tmp_path / "d.tsv")
    assert n > 2 or ((table["low"] == 0) & (table["high"] == 1)).all()


ONE_KIND = {"positive": "sick", "negative": "sick"}
BAD_QUESTIONS = {
    "no such column": ({"label": "knid"}, "did you mean 'kind'"),
    "no such level": ({"positive": "sikc"}, "allowed: 'sick' (12), 'well' (12)"),
    "no such negative level": ({"negative": "wel"}, "did you mean 'well'"),
    "one level on both sides": (ONE_KIND, "cannot be both positive and negative"),
    "no such model": ({"model": "nowhere"}, "no model folder"),
    "a table of labels that is not there": ({"labels": "nowhere.tsv"}, "cannot be read"),
}


@pytest.mark.parametrize("command", ["diagnose", "markers"])
@pytest.mark.parametrize("name", BAD_QUESTIONS)
def test_a_question_that_cannot_be_asked_ends_in_one_sentence(
    capsys, model, files, tmp_path, name, command
) -> None:
    change, message = BAD_QUESTIONS[name]
    more = ["--samples", files["samples"]] if command == "diagnose" else []
    code, _, error = run(capsys, command, *asking(model, files, **change), *more, "--out", tmp_path / "o.tsv")
    assert code == 1
    assert message in error
    assert not (tmp_path / "o.tsv").exists()


def test_markers_of_one_class_only_are_refused(capsys, model, files, tmp_path) -> None:
    sick = h5ad(tmp_path / "sick.h5ad", 10, seed=1, obs=lambda data: data.obs.assign(kind="sick"))
    code, _, error = run(
        capsys, "markers", *asking(model, files, references=sick), "--out", tmp_path / "m.tsv"
    )
    assert code == 1
    assert "only one kind of samples" in error


def test_labels_that_the_model_never_saw_are_named(capsys, model, files, tmp_path) -> None:
    ill = h5ad(tmp_path / "ill.h5ad", 12, seed=1,
               obs=lambda data: data.obs.assign(kind=data.obs["kind"].str.replace("sick", "gout")))  # fmt: skip
    code, said, error = run(capsys, "diagnose", *asking(model, files, references=ill, positive="gout"),
                            "--samples", files["samples"], "--draws", 20, "--out", tmp_path / "d.tsv")  # fmt: skip
    assert code == 0, error
    assert "labels that the model was not trained on: gout" in said


def test_a_folder_that_cannot_be_written_to_ends_in_one_sentence(capsys, model, files, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = run(capsys, "vectors", "--model", model, "--samples", files["samples"], "--out",
                         tmp_path / "file" / "v.tsv")  # fmt: skip
    assert code == 1
    assert "Not a directory" in error or "File exists" in error


def test_synthetic_samples_are_written_and_can_be_given_back(capsys, model, files, tmp_path) -> None:
    out = tmp_path / "synthetic.h5ad"
    asked = ["--model", model, "--references", files["references"], "--label", "kind"]
    code, said, error = run(capsys, "synthesise", *asked, "--fold", 0.5, "--out", out)
    assert code == 0, error
    assert "sick: 6 synthetic samples from 12 real ones" in said
    assert "sd slope" in said
    assert "near copies" in said
    made = anndata.read_h5ad(out)
    assert made.obs["kind"].value_counts().to_dict() == {"sick": 6, "well": 6}
    assert made.obs["synthetic"].all()
    assert tuple(made.var_names) == GENES
    code, said, error = run(
        capsys, "vectors", "--model", model, "--samples", out, "--out", tmp_path / "v.tsv"
    )
    assert code == 0, error
    assert "units: log1p_cp10k (as the file says)" in said


def test_one_level_and_a_number_can_be_asked_for(capsys, model, files, tmp_path) -> None:
    asked = [
        "--model",
        model,
        "--references",
        files["references"],
        "--label",
        "kind",
        "--level",
        "sick",
        "--n",
        5,
    ]
    code, said, _ = run(capsys, "synthesise", *asked, "--out", tmp_path / "s.h5ad", "--json")
    assert code == 0
    assert json.loads(said)["levels"]["sick"]["synthetic"] == 5
    assert anndata.read_h5ad(tmp_path / "s.h5ad").n_obs == 5
