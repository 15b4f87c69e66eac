"""Everything that is checked before the first job, in one list."""

import pytest
import yaml
from typer.testing import CliRunner

from consilience.cli import app, main
from consilience.foundation.errors import ConsilienceError
from consilience.preflight import preflight
from consilience.study.config import load_yaml

HEADER = "cohort\tkind\tsource\tlocation\tcondition\tcase\tcontrol\tbatch\n"
GOOD = "a\tbulk\tsimulated\tgeo\tdisease state\tdiseased\thealthy\tbatch\n"


def study(tmp_path, config, sheet):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"study": {"cohorts": "s.tsv"}} | config))
    (tmp_path / "s.tsv").write_text(HEADER + sheet)
    return tmp_path / "c.yaml"


def check(tmp_path, config, sheet):
    path = study(tmp_path, config, sheet)
    return preflight(load_yaml(path), config_files=[path], folder=tmp_path)


def test_a_good_study(tmp_path):
    found = check(tmp_path, {}, GOOD)
    assert found.named() == ["a"]
    assert found.named("single_cell") == []
    assert found.named("bulk", source="simulated") == ["a"]
    assert found["a"].case == ("diseased",)


def test_the_shipped_study_is_good(root, monkeypatch):
    monkeypatch.chdir(root)
    found = preflight(load_yaml(root / "config" / "config.yaml"))
    assert len(found.cohorts) == 7


def test_configuration_and_sheet_problems_come_together(tmp_path):
    with pytest.raises(ConsilienceError) as caught:
        check(tmp_path, {"qualty": {}}, GOOD.replace("bulk", "bulky") + "b\tx\n")
    text = str(caught.value)
    assert "did you mean 'quality'?" in text
    assert "s.tsv:2:kind" in text
    assert "s.tsv:3: the row has 2 cells" in text


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"b": {"n_case": 3}}, "no simulated cohort has this name"),
        ({"a": {"n_cases": 3}}, "keys n_case, n_control, n_outliers"),
        ({"a": {"n_case": 0}}, "simulation.cohorts.a.n_case"),
        ({"a": {"n_case": 2}}, "3"),
    ],
)
def test_sizes_of_single_cohorts_are_checked(tmp_path, sizes, reason):
    with pytest.raises(ConsilienceError, match=reason):
        check(tmp_path, {"simulation": {"cohorts": sizes}}, GOOD)


@pytest.mark.parametrize("source", ["geo\tGSE1", "gdc\tTCGA-KICH", "url\thttps://example.org/x.h5ad"])
def test_downloads_are_not_asked_for_before_a_run(tmp_path, source):
    study = check(tmp_path, {}, GOOD.replace("simulated\tgeo", source))
    assert study.cohorts[0].source == source.split("\t")[0]


def test_an_unknown_data_set_is_said_with_the_one_that_was_meant(tmp_path):
    with pytest.raises(
        ConsilienceError,
        match=r"s\.tsv:2:location: cohort a: no data set of this name.*did you mean 'norman-2019'",
    ):
        check(tmp_path, {}, GOOD.replace("simulated\tgeo", "url\tnorman-2091"))


def test_offline_says_what_is_missing_and_where_it_goes(tmp_path):
    sheet = GOOD.replace("simulated\tgeo", "url\thttps://example.org/x.h5ad|https://example.org/y.h5ad")
    with pytest.raises(ConsilienceError) as caught:
        check(tmp_path, {"fetch": {"offline": True}}, sheet)
    text = str(caught.value)
    assert "https://example.org/x.h5ad" in text
    assert "https://example.org/y.h5ad" in text
    assert "downloads/example.org/x.h5ad" in text


def test_a_token_file_that_others_can_read_is_refused(tmp_path):
    token = tmp_path / "token"
    token.write_text("secret-canary")
    token.chmod(0o644)
    with pytest.raises(ConsilienceError, match="0600") as caught:
        check(
            tmp_path, {"fetch": {"gdc_token_file": "token"}}, GOOD.replace("simulated\tgeo", "gdc\tTCGA-KICH")
        )
    assert "canary" not in str(caught.value)


def test_an_earlier_run_s_phenotypes_are_checked_again(tmp_path):
    raw = tmp_path / "results" / "demo" / "raw" / "a"
    raw.mkdir(parents=True)
    (raw / "x.counts.tsv").write_text("gene\ts1\nTP53\t1\n")
    (raw / "x.samples.tsv").write_text("sample\tdisease state\tbatch\ns1\tsick\tb\n")
    (raw / "provenance.json").write_text('{"source": "url", "location": "https://example.org/x.zip"}')
    with pytest.raises(ConsilienceError, match=r"s\.tsv:2:case: .*'diseased'"):
        check(tmp_path, {}, GOOD.replace("simulated\tgeo", "url\thttps://example.org/x.zip"))


def test_gene_sets_must_be_there(tmp_path):
    with pytest.raises(ConsilienceError, match="did you mean 'reactome'"):
        check(tmp_path, {"pathways": {"gene_sets": ["hallmark", "reactom"]}}, GOOD)
    (tmp_path / "my sets.gmt").write_text("A\t\tTP53\n")
    check(tmp_path, {"pathways": {"gene_sets": ["my sets.gmt"]}}, GOOD)


def test_planned_levels_are_checked(tmp_path):
    with pytest.raises(ConsilienceError, match=r"s\.tsv:2:case: cohort a: .*'sick'"):
        check(tmp_path, {}, GOOD.replace("diseased", "sick"))


def test_command_line_says_what_is_wrong_and_exits_with_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = study(tmp_path, {}, GOOD)
    good = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert good.exit_code == 0
    assert "no problems. 1 cohorts (1 bulk)" in good.output
    study(tmp_path, {"studdy": {}}, GOOD)
    monkeypatch.setattr("sys.argv", ["consilience", "check", "--config", str(path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "did you mean 'study'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (
            "https://me:secret@example.org/a.tsv",
            r"s\.tsv:2:location: .*must not hold a user name or password",
        ),
        ("https://example.org/", "the address names no file"),
        ("https://a.org/x.tsv|https://b.org/x.tsv", "two addresses name the same file 'x.tsv'"),
    ],
)
def test_addresses_are_checked_before_anything_is_asked(tmp_path, location, reason):
    with pytest.raises(ConsilienceError, match=reason):
        check(tmp_path, {}, f"a\tbulk\turl\t{location}\tdisease\till\twell\t\n")


def test_what_can_only_be_checked_later_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = study(tmp_path, {}, GOOD + "far\tbulk\tgeo\tGSE55235\tdisease\till\twell\t\n")
    done = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert done.exit_code == 0
    assert "Columns and levels of far are checked when their files are here" in done.output
