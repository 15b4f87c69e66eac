"""Columns whose words are not the titles' words: numbered groups of different sizes tell which is which."""

import pytest

from consilience.foundation.errors import DataError
from consilience.sources.geo.joining import join_samples


def titles(**groups):
    return tuple(f"{word} tissue {k}" for word, n in groups.items() for k in range(1, n + 1))


def names(**groups):
    return [f"{word}_tissue_{k}" for word, n in groups.items() for k in range(1, n + 1)]


def join(columns, given):
    return join_samples(columns, columns={"title": given}, where="x")


def test_groups_are_told_by_their_numbers():
    given = titles(healthy=4, arthritis=7, pain=2)
    rows, how = join(names(RA=7, normal=4, ache=2), given)
    assert [given[row] for row in rows] == list(titles(arthritis=7, healthy=4, pain=2))
    assert "'RA_tissue' being 'arthritis tissue' (7)" in how


def test_a_part_of_the_groups_will_do():
    given = titles(healthy=4, arthritis=7, pain=2)
    rows, _ = join(names(RA=7, normal=4), given)
    assert sorted(rows) == list(range(11))


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        (names(RA=4, normal=4), titles(healthy=4, arthritis=4)),
        (names(RA=4), titles(healthy=4)),
        (names(RA=5, normal=4), titles(healthy=4, arthritis=7)),
        ([*names(RA=5, normal=4), "x"], titles(healthy=4, arthritis=5)),
        ([*names(RA=5, normal=4), "RA_tissue_05"], titles(healthy=4, arthritis=5)),
    ],
    ids=["same size", "one group", "other numbers", "no number", "a number twice"],
)
def test_what_could_be_otherwise_is_refused(columns, given):
    with pytest.raises(DataError, match="belong to no sample"):
        join(columns, given)


@pytest.mark.real_data
def test_the_header_of_gse89408(kit):
    """Its columns are known to be called normal_tissue_1 and RA_tissue_1; the other words are made up."""
    from consilience.sources.geo.series import parse_series_matrix

    series = parse_series_matrix(kit / "geo_as_served" / "GSE89408_series_header.txt.gz", values=False)
    columns = names(normal=28, OA=22, AG=10, undiff=6, RA=152)
    rows, how = join_samples(columns, columns=series.columns, where="x")
    words = [series.columns["title"][row].rpartition(" ")[0] for row in rows]
    assert words[:28] == ["healthy tissue"] * 28
    assert words[-152:] == ["rheumatoid arthritis tissue"] * 152
    assert "'normal_tissue' being 'healthy tissue' (28)" in how
