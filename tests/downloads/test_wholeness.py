"""A file cut at any byte is noticed where its form allows it."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from consilience.downloads.wholeness import NO_END, can_be_judged, damage, page_title


def hdf5(version):
    import h5py

    held = io.BytesIO()
    with h5py.File(
        held, "w", libver={0: ("earliest", "v108"), 2: ("v108", "v108"), 3: "latest"}[version]
    ) as file:
        file["x"] = list(range(5000))
    content = held.getvalue()
    assert content[8] == version
    return content


def parquet():
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = io.BytesIO()
    pq.write_table(pa.table({"a": list(range(1000))}), held)
    return held.getvalue()


def tar():
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in "ab":
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(b"x" * 700))
    return held.getvalue()


def zipped():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a"), b"a" * 500)
    return held.getvalue()


TEXT = b"".join(b"gene%d\t%d\n" % (n, n * n) for n in range(400))
WHOLE = {
    "a.txt.gz": gzip.compress(TEXT, mtime=0),
    "members.txt.bgz": b"".join(gzip.compress(TEXT[n : n + 900], mtime=0) for n in range(0, len(TEXT), 900)),
    "padded.gz": gzip.compress(TEXT, mtime=0) + bytes(512),
    "a.tar.gz": gzip.compress(tar(), mtime=0),
    "a.bz2": bz2.compress(TEXT) + bz2.compress(TEXT),
    "a.xz": lzma.compress(TEXT),
    "a.zip": zipped(),
    "a.tar": tar(),
    "a.parquet": parquet(),
    "v0.h5ad": hdf5(0),
    "v2.h5": hdf5(2),
    "v3.h5": hdf5(3),
    "a.json": b'{"a": [1, 2, {"b": null}]}\n',
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_pass(tmp_path, name):
    (tmp_path / name).write_bytes(WHOLE[name])
    assert damage(tmp_path / name) is None
    assert damage(tmp_path / name, length_known=True) is None
    assert can_be_judged(tmp_path / name)


@pytest.mark.parametrize("name", WHOLE)
def test_a_cut_at_any_byte_is_noticed(tmp_path, name):
    """At every byte of small files and of the ends of larger ones; an empty file and an invisible end are
    the only exceptions: bgzip members end where the next may begin, padding may be lost.
    """
    content = WHOLE[name]
    ends = {len(content) - 1}
    if name == "members.txt.bgz":
        ends = {
            sum(len(gzip.compress(TEXT[m : m + 900], mtime=0)) for m in range(0, n, 900))
            for n in range(900, 9000, 900)
        }
    if name == "a.bz2":
        ends = {len(content) // 2}
    if name == "padded.gz":
        ends = set(range(len(gzip.compress(TEXT, mtime=0)), len(content)))
    cuts = [n for n in range(1, len(content)) if n < 900 or n > len(content) - 300 or n % 97 == 0]
    path = tmp_path / name
    unnoticed = []
    for n in cuts:
        path.write_bytes(content[:n])
        if damage(path) is None:
            unnoticed.append(n)
    if name == "a.tar":
        # tar is padded with zeros to 10240 bytes; two blocks of them are its end
        assert all(n >= 2 * (512 + 1024) + 512 for n in unnoticed), unnoticed
    elif name == "a.json":
        assert unnoticed in ([], [len(content) - 1])  # the last newline
    elif name in {"v0.h5ad", "v2.h5", "v3.h5"}:
        assert unnoticed == [n for n in unnoticed if n < 8], "less than the magic number"
    elif name == "a.parquet":
        assert [n for n in unnoticed if n >= 4] == []
    elif name in {"a.zip", "a.bz2", "a.xz"}:
        assert [n for n in unnoticed if n >= 6 and n not in ends] == []
    else:
        assert [n for n in unnoticed if n not in ends] == []


def test_a_flipped_byte_in_gzip_is_noticed(tmp_path):
    content = WHOLE["a.txt.gz"]
    for n in range(10, len(content), 37):
        changed = bytearray(content)
        changed[n] ^= 0x10
        (tmp_path / "a.gz").write_bytes(changed)
        assert "damaged" in (damage(tmp_path / "a.gz") or "") or "cut" in (damage(tmp_path / "a.gz") or "")


def test_plain_text_cannot_be_judged(tmp_path):
    (tmp_path / "a.tsv").write_bytes(TEXT[:-100])
    assert damage(tmp_path / "a.tsv") is None
    assert not can_be_judged(tmp_path / "a.tsv")


def test_a_tar_without_an_end_passes_only_when_its_length_is_known(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar()[: 2 * (512 + 1024)])
    assert damage(tmp_path / "a.tar") == NO_END
    assert damage(tmp_path / "a.tar", length_known=True) is None
    (tmp_path / "a.tar").write_bytes(tar()[:2000])
    assert "cut" in damage(tmp_path / "a.tar", length_known=True)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.gz", b"a\tb\n", "named .gz but is not gzip"),
    ("a.json", b'{"a": ', "cut or damaged"),
    ("a.json", b"[" * 100_000, "cut or damaged"),
])  # fmt: skip
def test_names_and_contents_that_disagree(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in damage(tmp_path / name)


@pytest.mark.parametrize(("content", "title"), [
    (b"<html><head><title>404  Not\nFound</title>", "404 Not Found"),
    (b"\xef\xbb\xbf \n<!DOCTYPE HTML><TITLE lang=en>x</TITLE>", "x"),
    (b'<?xml version="1.0"?><html xmlns="x"><p>', ""),
    (b'<?xml version="1.0"?><MINiML>', None),
    (b"gene\t<html>", None),
    (b"", None),
])  # fmt: skip
def test_web_pages_are_told_by_their_beginning(tmp_path, content, title):
    (tmp_path / "a").write_bytes(content)
    assert page_title(tmp_path / "a") == title
