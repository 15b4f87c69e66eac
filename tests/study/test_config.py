"""The typed configuration: unknown keys refused with a suggestion, every error with its line."""

import difflib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import ConfigError
from consilience.study.config import check_config, read_config
from consilience.study.document import DEMO, generated_files
from consilience.study.sections import Config


def write(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(generated_files()))
def test_generated_files_have_not_drifted(root, name):
    found = (root / name).read_text(encoding="utf-8").splitlines(keepends=True)
    wanted = generated_files()[name].splitlines(keepends=True)
    diff = "".join(difflib.unified_diff(found, wanted, f"{name} (found)", f"{name} (generated)"))
    assert not diff, f"run `make config`:\n{diff}"


def test_shipped_file_is_the_demo_and_otherwise_the_defaults(root):
    shipped = read_config(root / "config" / "config.yaml")
    assert shipped == DEMO
    assert shipped.simulation.cohorts["rare_geo"]["n_case"] < Config().simulation.bulk.n_case
    simulation = shipped.simulation.model_copy(update={"cohorts": {}})
    assert shipped.rnagan.splits < Config().rnagan.splits
    assert shipped.augment.splits < Config().augment.splits
    assert shipped.causal.concordance.permutations < Config().causal.concordance.permutations
    same = {
        "simulation": simulation,
        "rnagan": Config().rnagan,
        "augment": Config().augment,
        "causal": Config().causal,
    }
    assert shipped.model_copy(update=same) == Config()


def test_an_empty_file_is_the_default_study(tmp_path):
    assert read_config(write(tmp_path, "")) == Config()


def test_every_problem_at_once_with_line_and_suggestion(tmp_path):
    path = write(
        tmp_path,
        "studdy:\n  x: 1\nquality:\n  bulk:\n    outlier_mad: 3\n    min_count: abc\n    min_samples: 1e-1\n",
    )
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    text = str(caught.value)
    assert "4 problems" in text
    assert f"{path}:1: studdy: unknown key; found 'studdy'. To mend: did you mean 'study'?" in text
    assert f"{path}:5: quality.bulk.outlier_mad: unknown key" in text
    assert "did you mean 'outlier_mads'?" in text
    assert f"{path}:6: quality.bulk.min_count" in text
    assert "YAML wants 1.0e-4" in text


def test_names_of_columns_and_keys_of_single_cohorts_are_checked(tmp_path):
    path = write(
        tmp_path,
        "summary_statistics:\n"
        "  columns:\n"
        "    '*.tsv':\n"
        "      rsids: SNP\n"
        "      beta: ''\n"
        "      n: 3\n"
        "    '': {n: N}\n"
        "  cohorts:\n"
        "    height: {n_gwass: 7}\n",
    )
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    text = str(caught.value)
    assert "5 problems" in text
    assert f"{path}:4: summary_statistics.columns.*.tsv.rsids: unknown key; found 'rsids'" in text
    assert "allowed: rsid, variant, chromosome" in text
    assert "did you mean 'rsid'?" in text
    assert f"{path}:5: summary_statistics.columns.*.tsv.beta" in text
    assert f"{path}:6: summary_statistics.columns.*.tsv.n" in text
    assert f"{path}:7: summary_statistics.columns." in text
    assert f"{path}:9: summary_statistics.cohorts.height.n_gwass: unknown key" in text
    assert "did you mean 'n_gwas'?" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: [", r"c\.yaml:\d+:\d+: not valid YAML"),
        ("study:\n  name: a\nstudy:\n  name: b\n", r"c\.yaml:3: the key appears twice \(first in line 1\)"),
        ("- a\n- b\n", "must hold 'section:' blocks"),
        ("study: {name: 'a\\nb'}", "study.name"),
        ('study: {name: "ok\\n"}', "study.name"),
        ("study: {name: ../x}", "study.name"),
        ("study: {seed: -1}", "study.seed"),
        ("study: {seed: yes}", "study.seed"),
        ("report: {pseudonyms: 1}", "report.pseudonyms"),
        ("pathways: {gene_sets: []}", "pathways.gene_sets"),
        ("study: 3", "study"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_bad_configurations(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_config(write(tmp_path, text))


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_config(tmp_path / "absent.yaml")
    path = tmp_path / "b.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_config(path)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(section=st.sampled_from(sorted(Config.model_fields)), key=st.data(), value=values)
def test_any_value_anywhere_is_accepted_or_explained(section, key, value):
    known = sorted(type(getattr(Config(), section)).model_fields)
    name = key.draw(st.one_of(st.sampled_from(known), st.text(max_size=10)))
    config, problems = check_config({section: {name: value}})
    assert (config is None) == bool(problems)
    assert all(section in problem.where for problem in problems)


def test_generated_yaml_round_trips():
    text = generated_files()["config/config.yaml"]
    assert yaml.safe_load(text) == DEMO.model_dump()
