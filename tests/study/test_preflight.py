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
    assert len(found.cohorts) == 6


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
def test_sources_that_cannot_be_fetched_yet_are_said_so(tmp_path, source):
    with pytest.raises(ConsilienceError, match="does not download from source"):
        check(tmp_path, {}, GOOD.replace("simulated\tgeo", source))


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
