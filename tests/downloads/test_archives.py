"""Archives of honest and of hostile makers: all of it in its folder, or nothing and the reason."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from consilience.downloads import archives
from consilience.downloads.archives import unpack
from consilience.foundation.errors import DataError

FILES = {"GSM1_a.tsv": b"a\t1\n", "sub/GSM2_b.tsv.gz": gzip.compress(b"b\t2\n" * 100, mtime=0), "empty": b""}


def tar(files, *, mode="w", links=(), form=tarfile.PAX_FORMAT):
    """A tar of {name: bytes}; `links` are TarInfos put at its end."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode, format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in links:
            archive.addfile(info)
    return held.getvalue()


def zipped(files, *, attributes=0, compression=zipfile.ZIP_DEFLATED):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes
            info.compress_type = compression
            archive.writestr(info, content)
    return held.getvalue()


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def opened(tmp_path):
    """Unpack these bytes; gives {name: bytes}. Whatever happens, nothing else is left in the folder."""

    def unpack_bytes(content, *, name="GSE1_RAW.tar", members=(), max_bytes=10**9, max_members=1000):
        archive = tmp_path / name
        archive.write_bytes(content)
        into = tmp_path / "out"
        try:
            paths = unpack(archive, into=into, members=members, max_bytes=max_bytes, max_members=max_members)
        except DataError:
            assert [path.name for path in tmp_path.iterdir()] == [name], "a refused archive leaves nothing"
            raise
        found = {
            path.relative_to(into).as_posix(): path.read_bytes() for path in into.rglob("*") if path.is_file()
        }
        assert sorted(into / one for one in found) == paths
        assert {path.name for path in tmp_path.iterdir()} == {name, "out"}
        return found

    return unpack_bytes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tar", tar(FILES)),
        ("gnu.tar", tar(FILES, form=tarfile.GNU_FORMAT)),
        ("a.tar.gz", gzip.compress(tar(FILES), mtime=0)),
        ("two.tgz", gzip.compress(tar(FILES)[:700], mtime=0) + gzip.compress(tar(FILES)[700:], mtime=0)),
        ("a.tar.bz2", bz2.compress(tar(FILES))),
        ("a.tar.xz", lzma.compress(tar(FILES))),
        ("a.zip", zipped(FILES)),
        ("stored.zip", zipped(FILES, compression=zipfile.ZIP_STORED)),
    ],
)
def test_every_kind_is_unpacked(opened, name, content):
    assert opened(content, name=name) == FILES


def test_archives_inside_are_unpacked_once_and_mac_rubbish_is_left(opened):
    inner = {"filtered/matrix.mtx.gz": b"m", "deep.zip": zipped({"x": b"x"})}
    files = {
        "GSM1.tar.gz": gzip.compress(tar(inner), mtime=0),
        "GSM2.zip": zipped({"./a.tsv": b"a"}),
        "__MACOSX/._GSM1.tar.gz": b"rubbish",
        "._GSM3.tsv": b"rubbish",
        "table.tsv.gz": gzip.compress(b"t", mtime=0),
    }
    assert opened(tar(files)) == {
        "GSM1/filtered/matrix.mtx.gz": b"m",
        "GSM1/deep.zip": inner["deep.zip"],
        "GSM2/a.tsv": b"a",
        "table.tsv.gz": files["table.tsv.gz"],
    }


def test_members_are_chosen_by_patterns(opened):
    files = FILES | {"GSM3.tar": tar({"x/barcodes.tsv": b"x", "x/other": b"o"}), "GSM4.tar": tar({"z": b"z"})}
    assert set(opened(tar(files), members=["*_b.tsv.gz"])) == {"sub/GSM2_b.tsv.gz"}
    assert set(opened(tar(files), members=["sub/*", "barcodes.tsv"])) == {
        "sub/GSM2_b.tsv.gz",
        "GSM3/x/barcodes.tsv",
    }
    assert set(opened(tar(files), members=["GSM4*"])) == {"GSM4/z"}


def test_a_pattern_without_a_member_is_an_error(opened):
    with pytest.raises(
        DataError, match=r"no member .*found 'GSM1_a.tvs'; allowed: GSM1_a.tsv, .*did you mean 'GSM1_a.tsv'"
    ):
        opened(tar(FILES), members=["GSM1_a.tvs"])


def test_a_folder_of_an_earlier_run_is_replaced(opened, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    left = tmp_path / ".tmp-77-out"
    left.mkdir()
    (left / "half").write_text("half")
    assert opened(tar(FILES)) == FILES


@pytest.mark.parametrize("cut", [1, 100, 511, 513, 700, 1025, 1800])
@pytest.mark.parametrize(
    "pack", [lambda content: content, lambda content: gzip.compress(content, mtime=0)], ids=["tar", "gz"]
)
def test_cut_archives_are_named(opened, cut, pack):
    whole = pack(tar({"a": b"a" * 600, "b": b"b"})[:-9000])
    content = whole[: min(cut, len(whole) - 1)]
    with pytest.raises(
        DataError, match=r"GSE1_RAW.tar: (the archive is cut or damaged|neither tar nor zip, or cut)"
    ):
        opened(content)


def test_a_tar_cut_between_members_is_told_in_the_log(opened, caplog):
    whole = tar({"a": b"a", "b": b"b"})
    assert opened(whole[:1024]) == {"a": b"a"}
    assert "no end mark" in caplog.text
    caplog.clear()
    assert set(opened(whole)) == {"a", "b"}
    assert caplog.text == ""


@pytest.mark.parametrize("at", [0, 257, 1024 + 150])
def test_damaged_headers_do_not_end_the_archive_silently(opened, at):
    whole = bytearray(tar({"a": b"a", "b": b"b", "c": b"c"}))
    whole[at] ^= 0x55
    with pytest.raises(DataError, match=r"damaged|neither tar nor zip"):
        opened(bytes(whole))


@pytest.mark.parametrize("at", [0.3, 0.6, 0.99])
def test_cut_and_damaged_zips_are_named(opened, at):
    whole = zipped({"a": bytes(range(256)) * 40, "b": b"b" * 999}, compression=zipfile.ZIP_STORED)
    with pytest.raises(DataError, match="cut or damaged"):
        opened(whole[: int(len(whole) * at)])
    damaged = bytearray(whole)
    damaged[int(len(whole) * at * 0.5)] ^= 1
    with pytest.raises(DataError, match="cut or damaged"):
        opened(bytes(damaged))


EVIL = {
    "up": (tar({"../a": b"x"}), "leads out of"),
    "up inside": (tar({"a/../../b": b"x"}), "leads out of"),
    "absolute": (tar({"/etc/a": b"x"}), "does not begin in"),
    "home": (tar({"~/a": b"x"}), "does not begin in"),
    "drive": (zipped({"C:/a": b"x"}), "does not begin in"),
    "backslash": (zipped({"a\\..\\..\\b": b"x"}), "does not begin in"),
    "zip up": (zipped({"a/../../b": b"x"}), "leads out of"),
    "symlink": (tar({}, links=[special("a", tarfile.SYMTYPE, "/etc/passwd")]), "holds a link"),
    "hard link": (tar({"a": b"x"}, links=[special("b", tarfile.LNKTYPE, "a")]), "holds a link"),
    "device": (tar({}, links=[special("a", tarfile.CHRTYPE)]), "a device or pipe"),
    "pipe": (tar({}, links=[special("a", tarfile.FIFOTYPE)]), "a device or pipe"),
    "zip link": (zipped({"a": b"/etc/passwd"}, attributes=(stat.S_IFLNK | 0o777) << 16), "holds a link"),
    "zip device": (zipped({"a": b""}, attributes=(stat.S_IFCHR | 0o777) << 16), "a device or pipe"),
    "deep": (tar({"d/" * 16 + "a": b"x"}), "more than 16 folders"),
    "long": (tar({"x" * 201: b"x"}), "longer than 200"),
    "twice": (tar({"a": b"1", "./a": b"2"}), "would be one file"),
    "case": (zipped({"A/x": b"1", "a/X": b"2"}), "would be one file"),
    "forms": (tar({"\u00e9": b"1", "e\u0301": b"2"}), "would be one file"),
    "file and folder": (tar({"a": b"1", "A/b": b"2"}), "would be one file"),
    "folder and file": (tar({"a/b": b"1", "a": b"2"}), "would be one file"),
    "nested up": (tar({"x.tar": tar({"../../a": b"x"})}), "leads out of"),
    "nested link": (tar({"x.tar": tar({}, links=[special("a", tarfile.SYMTYPE, "/")])}), "holds a link"),
    "nested meets": (tar({"x/a": b"1", "x.zip": zipped({"a": b"2"})}), "would be one file"),
    "nothing": (tar({}, links=[special("d", tarfile.DIRTYPE)]), "holds no files"),
    "only gzip": (gzip.compress(b"table"), "neither tar nor zip"),
    "text": (b"just text", "neither tar nor zip"),
    "empty": (b"", "neither tar nor zip"),
}  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_evil_archives_are_refused(opened, name):
    content, said = EVIL[name]
    with pytest.raises(DataError, match=said):
        opened(content)


def test_an_encrypted_zip_is_refused(opened):
    content = bytearray(zipped({"a": b"secret"}))
    content[6] |= 1  # the flag in the member's own header …
    content[content.index(b"PK\x01\x02") + 8] |= 1  # … and in the directory
    with pytest.raises(DataError, match="holds an encrypted member"):
        opened(bytes(content))


def test_names_that_cannot_be_shown_are_made_safe(opened):
    assert opened(tar({"a\x1b[2J\n.tsv": b"x"})) == {"a_[2J_.tsv": b"x"}


def test_limits_are_counted_over_all_that_is_written(opened):
    with pytest.raises(DataError, match=r"more than 5 members.*max_archive_members"):
        opened(tar({f"{n}": b"" for n in range(6)}), max_members=5)
    with pytest.raises(DataError, match=r"more than 5 members"):
        opened(tar({"a.tar": tar({f"{n}": b"" for n in range(5)})}), max_members=5)
    with pytest.raises(DataError, match=r"more than 1e-06 GB.*max_unpacked_gigabytes"):
        opened(tar({"a": b"x" * 600, "b": b"x" * 401}), max_bytes=1000)
    assert len(opened(tar({"a": b"x" * 600, "b": b"x" * 400}), max_bytes=1000)) == 2


@pytest.mark.parametrize("pack", ["tar.gz", "zip", "nested"])
def test_bombs_are_refused_by_what_they_become(opened, monkeypatch, pack):
    monkeypatch.setattr(archives, "RATIO_FROM", 1_000_000)
    zeros = {"zeros": bytes(5_000_000)}
    bombs = {
        "tar.gz": gzip.compress(tar(zeros), mtime=0),
        "zip": zipped(zeros),
        "nested": tar({"pad": bytes(range(256)) * 1000, "bomb.zip": zipped(zeros)}),
    }
    with pytest.raises(DataError, match="more than 200 times its size"):
        opened(bombs[pack])


def test_declared_sizes_are_not_believed(opened):
    """A zip whose directory says 1 byte, and holds more: what counts is what comes out."""
    content = bytearray(zipped({"a": bytes(100_000)}))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (1).to_bytes(4, "little")
    with pytest.raises(DataError, match=r"cut or damaged|more than"):
        opened(bytes(content), max_bytes=1000)


def test_a_header_that_claims_gigabytes_is_not_read_into_memory(opened):
    """A long name of 10 GB, of zeros, packed small: tarfile would read it whole."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 10 << 30
    content = gzip.compress(
        tar({"a": b"x"})[:1024] + header.tobuf(tarfile.GNU_FORMAT) + bytes(40 << 20), mtime=0
    )
    tracemalloc.start()
    with pytest.raises(DataError, match="a header of the archive claims to be huge"):
        opened(content)
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()
