"""The catalogue of known downloads: read strictly, asked by name or address, and never inventing."""

import re

import pytest

from consilience.downloads.catalogue import COLUMNS, load_catalogue
from consilience.downloads.request import Download
from consilience.foundation.errors import DataError, DownloadError

MD5, SHA = "0123456789abcdef" * 2, "0123456789abcdef" * 4
GOOD = {
    "dataset": "one-2020",
    "file": "one.h5ad",
    "url": "https://example.org/files/1",
    "bytes": "12",
    "md5": MD5,
    "sha256": SHA,
    "licence": "CC0",
    "reference": "One 2020",
    "checked": "not checked from here",
    "note": "",
}


def table(tmp_path, *rows):
    path = tmp_path / "datasets.tsv"
    lines = ["\t".join(COLUMNS), *("\t".join((GOOD | row).values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_row_becomes_a_download(tmp_path):
    catalogue = load_catalogue(table(tmp_path, {}, {"dataset": "two", "url": "https://b.org/2"}))
    assert catalogue.names == ("one-2020", "two")
    assert catalogue.of("one-2020") == (Download("one.h5ad", GOOD["url"], bytes=12, md5=MD5, sha256=SHA),)


def test_comments_and_empty_lines_are_skipped(tmp_path):
    path = table(tmp_path, {})
    path.write_text("# about\n\n" + path.read_text(encoding="utf-8") + "\n# end\n", encoding="utf-8")
    assert load_catalogue(path).names == ("one-2020",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": "../up"}, r"datasets.tsv:2:dataset: cannot be used"),
        ({"dataset": ""}, r"2:dataset: the cell is empty"),
        ({"file": "/etc/passwd"}, r"2:file: cannot be used"),
        ({"file": "a/../b"}, r"2:file"),
        ({"file": ".hidden"}, r"2:file: cannot be used"),
        ({"file": "a" * 201}, r"2:file: not a usable file name"),
        ({"url": "ftp://example.org/x"}, r"2:url: cannot be used.*https://"),
        ({"url": "https://user@example.org/x"}, r"2:url: cannot be used"),
        ({"url": "http://example.org/x"}, r"2:url: an address that anybody on the way can change"),
        ({"bytes": "1e6"}, r"2:bytes: cannot be used"),
        ({"bytes": "0"}, r"2:bytes: cannot be used"),
        ({"md5": MD5[:-1]}, r"2:md5: cannot be used.*32 digits"),
        ({"md5": MD5.upper()}, r"2:md5: cannot be used"),
        ({"sha256": MD5}, r"2:sha256: cannot be used.*64 digits"),
        ({"licence": ""}, r"2:licence: the cell is empty"),
        ({"checked": ""}, r"2:checked: the cell is empty"),
        ({"note": "a\tb"}, r"2: the row has 11 cells but the header has 10"),
    ],
)
def test_a_bad_cell_is_refused(tmp_path, change, reason):
    with pytest.raises(DataError, match=reason):
        load_catalogue(table(tmp_path, change))


def test_http_is_accepted_where_the_row_says_why(tmp_path):
    path = table(tmp_path, {"url": "http://example.org/x", "note": "http only"})
    assert load_catalogue(path).of("one-2020")[0].url == "http://example.org/x"


def test_all_problems_come_at_once(tmp_path):
    with pytest.raises(DataError, match="3 problems") as caught:
        load_catalogue(table(tmp_path, {"md5": "x"}, {"dataset": "a b"}, {"dataset": "c", "bytes": "-1"}))
    assert all(f"datasets.tsv:{line}:" in str(caught.value) for line in (2, 3, 4))


def test_a_file_stands_once_in_its_data_set(tmp_path):
    with pytest.raises(DataError, match=r"data set 'one-2020' has this file 2 times; found 'one.h5ad'"):
        load_catalogue(table(tmp_path, {}, {"file": "ONE.h5ad", "url": "https://example.org/2"}))
    assert len(load_catalogue(table(tmp_path, {}, {"dataset": "other"})).known) == 2


def test_one_address_has_one_digest(tmp_path):
    with pytest.raises(DataError, match="rows of one address say different sizes or digests"):
        load_catalogue(table(tmp_path, {}, {"dataset": "other", "bytes": "13"}))


@pytest.mark.parametrize("text", ["", "dataset\tfile\n"])
def test_the_header_is_checked(tmp_path, text):
    (tmp_path / "d.tsv").write_text(text)
    with pytest.raises(DataError, match="the first line must name the columns"):
        load_catalogue(tmp_path / "d.tsv")


def test_an_absent_catalogue_is_said_so(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_catalogue(tmp_path / "none.tsv")


def test_an_unknown_name_gets_a_suggestion(tmp_path):
    with pytest.raises(DownloadError, match=r"no data set of this name.*did you mean 'one-2020'\?"):
        load_catalogue(table(tmp_path, {})).of("one-2002")


def test_pin_adds_what_is_known_and_nothing_else(tmp_path):
    catalogue = load_catalogue(table(tmp_path, {"sha256": ""}))
    bare = Download("renamed.h5ad", GOOD["url"], optional=True)
    assert catalogue.pin(bare) == Download("renamed.h5ad", GOOD["url"], bytes=12, md5=MD5, optional=True)
    stranger = Download("x", "https://example.org/other")
    assert catalogue.pin(stranger) is stranger


def test_pin_refuses_a_source_that_contradicts(tmp_path):
    catalogue = load_catalogue(table(tmp_path, {}))
    with pytest.raises(DownloadError, match=r"the source now says bytes 13, but .* knows 12"):
        catalogue.pin(Download("one.h5ad", GOOD["url"], bytes=13))


def test_rows_change_with_digest_and_address_only(tmp_path):
    first = load_catalogue(table(tmp_path, {})).rows("one-2020")
    assert load_catalogue(table(tmp_path, {"note": "read again"})).rows("one-2020") == first
    assert load_catalogue(table(tmp_path, {"md5": MD5[::-1]})).rows("one-2020") != first


@pytest.mark.parametrize(
    ("location", "n"),
    [("one-2020", 1), (GOOD["url"] + "|https://example.org/9", 1), ("GSE12", 1), ("GSE1", 0), ("", 0)],
)
def test_rows_are_found_by_name_address_or_series(tmp_path, location, n):
    series = {"dataset": "geo", "url": "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE12/suppl/a.gz"}
    assert len(load_catalogue(table(tmp_path, {}, series)).rows(location)) == n


def test_the_shipped_catalogue():
    catalogue = load_catalogue()
    assert len(catalogue.known) >= 19
    for row in catalogue.known:
        seen = re.match(r"(address|name)\b.*(seen|stated)|not checked from here", row.checked)
        assert seen, f"{row.dataset}: how is this row known?"
        assert row.download.url.startswith("https://")
