"""Files of the GDC in batches, over a real connection that is cut, lies, refuses or is hostile."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from consilience.downloads.downloads import Downloads
from consilience.foundation.errors import DownloadError
from consilience.foundation.seeds import stream
from consilience.sources.fetch import fetch_cohort
from consilience.sources.gdc.batches import MOST_EXTRA, Inflated, fill_cache, unpack_stream
from consilience.sources.gdc.plan import plan_project
from consilience.sources.plans import Plan
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection
from fake_gdc import API, FakeGdc, kich
from replay import Answer, Fault, ReplayServer, Request

COHORT = Cohort("kich", "bulk", "gdc", "TCGA-KICH")
DATA = "/gdc/data"
TOKEN = "canary-5f1d7c2e9b"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilience.sources.gdc.batches.PAUSE", 0.0)


def settings_of(gdc: FakeGdc, server: ReplayServer, folder: Path, **more: object) -> FetchSection:
    values = {
        "cache": str(folder / "cache"),
        "mirrors": gdc.serve(server),
        "attempts": 2,
        "stall_seconds": 5.0,
    } | more
    return FetchSection.model_validate(values)


def planned(downloads: Downloads, cohort: Cohort = COHORT) -> Plan:
    return plan_project(cohort=cohort, downloads=downloads)


def batches(server: ReplayServer) -> list[list[str]]:
    """The ids of every batch that was asked for."""
    return [json.loads(one.body)["ids"] for one in server.requests if one.path == DATA]


def singles(server: ReplayServer) -> list[Request]:
    return [one for one in server.requests if one.path.startswith(f"{DATA}/")]


def fetched(
    gdc: FakeGdc, server: ReplayServer, folder: Path, cohort: Cohort = COHORT, **more: object
) -> dict[str, bytes]:
    fetch_cohort(cohort=cohort, served_dir=None, raw_dir=folder / "raw", folder=folder,
                 settings=settings_of(gdc, server, folder, **more))  # fmt: skip
    return {
        path.relative_to(folder / "raw").as_posix(): path.read_bytes()
        for path in (folder / "raw").rglob("*")
        if path.is_file()
    }


def test_files_come_in_batches_and_are_what_the_gdc_has(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(10))
    raw = fetched(gdc, replay, tmp_path, gdc_batch=4)
    assert {name: content for name, content in raw.items() if "/" in name} == {
        f"{hit['file_id']}/{hit['file_name']}": content for hit, content in gdc.files
    }
    assert [len(ids) for ids in batches(replay)] == [4, 4, 2]
    assert not singles(replay)
    record = json.loads(raw["provenance.json"])
    assert record["release"] == gdc.release
    entry = next(one for one in record["files"] if one["name"].startswith(gdc.files[0][0]["file_id"]))
    assert entry["url"] == f"{API}data/{gdc.files[0][0]['file_id']}"
    assert {"files.json", "manifest.tsv"} <= set(raw)


def test_what_is_in_the_cache_is_not_asked_for_again(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(6))
    first = fetched(gdc, replay, tmp_path)
    n = len(batches(replay))
    second = fetched(gdc, replay, tmp_path)
    assert len(batches(replay)) == n
    assert {k: v for k, v in first.items() if k != "provenance.json"} == {
        k: v for k, v in second.items() if k != "provenance.json"
    }


def test_one_file_is_not_asked_for_as_a_batch(replay: ReplayServer, tmp_path: Path) -> None:
    fetched(FakeGdc(kich(3)), replay, tmp_path, gdc_batch=1)
    assert not batches(replay)
    assert len(singles(replay)) == 3


def test_a_cut_loses_only_the_member_it_cut(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(big(6))
    whole = len(gdc.archive([hit["file_id"] for hit, _ in gdc.files]))
    replay.fault(DATA, Fault.cut_at(whole * 2 // 3))
    fetched(gdc, replay, tmp_path)
    asked = batches(replay)
    assert [len(ids) for ids in asked] == [6, 3]
    assert set(asked[1]) < set(asked[0])


def big(n: int) -> list[tuple[dict[str, object], bytes]]:
    """Files whose archive does not fit into one read of the connection."""
    rng = stream(5, "noise")
    found = []
    for hit, content in kich(n):
        noise = f"# {rng.bytes(30_000).hex()}\n".encode() + content
        found.append(({**hit, "md5sum": hashlib.md5(noise).hexdigest(), "file_size": len(noise)}, noise))
    return found


@pytest.mark.parametrize("length", [True, False], ids=["promised", "no length"])
def test_any_cut_ends_in_the_same_files(replay: ReplayServer, tmp_path: Path, length: bool) -> None:
    gdc = FakeGdc(big(4))
    downloads = Downloads(settings_of(gdc, replay, tmp_path))
    plan = planned(downloads)
    whole = len(gdc.archive([hit["file_id"] for hit, _ in gdc.files]))
    places = sorted(
        {0, 1, 2, 17, 511, 512, 513, whole - 1, whole - 9, *stream(1, "cuts").integers(0, whole, 15).tolist()}
    )
    for number, place in enumerate(places):
        fresh = Downloads(settings_of(gdc, replay, tmp_path / str(number)))
        replay.fault(DATA, Fault.cut_at(place, length=length))
        fill_cache(plan, fresh, batch=50)
        arrived = fresh.bring(plan.downloads, into=tmp_path / str(number) / "raw")
        assert {one.name: one.path.read_bytes() for one in arrived} == {
            f"{hit['file_id']}/{hit['file_name']}": content for hit, content in gdc.files
        }, place


def test_every_byte_of_a_small_archive_may_be_the_last(tmp_path: Path) -> None:
    """Without a server: a cut after any byte keeps only whole members, and never raises anything unknown."""
    gdc = FakeGdc(kich(3))
    archive = gdc.archive([hit["file_id"] for hit, _ in gdc.files])
    plan = planned_from(gdc)
    want = {f"{hit['file_id']}/{hit['file_name']}": content for hit, content in gdc.files}
    kept_counts = set()
    for place in range(len(archive)):
        keeper = Keeper()
        kept: set[str] = set()
        with contextlib.suppress(DownloadError, tarfile.TarError, EOFError, OSError):
            unpack_stream(io.BytesIO(archive[:place]), wanted=plan.downloads, downloads=keeper, kept=kept)  # type: ignore[arg-type]
        assert kept == set(keeper.held)
        assert all(want[name] == content for name, content in keeper.held.items())
        kept_counts.add(len(kept))
    assert max(kept_counts) >= 2


class Keeper:
    """As `Downloads.keep` does, in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def keep(self, wanted: object, content: io.BufferedIOBase) -> None:
        data = content.read()
        if hashlib.md5(data).hexdigest() != wanted.md5 or len(data) != wanted.bytes:  # type: ignore[attr-defined]
            raise DownloadError("wrong")
        self.held[wanted.name] = data  # type: ignore[attr-defined]


def planned_from(gdc: FakeGdc) -> Plan:
    class Asking:
        folder = Path()

        def read(self, url: str, *, body: str = "", **_: object) -> bytes | None:
            return gdc.answer(url.removeprefix(API), body)

        def has_token(self) -> bool:
            return False

    return plan_project(cohort=COHORT, downloads=Asking())  # type: ignore[arg-type]


def test_a_damaged_member_is_asked_for_again(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(4))
    broken = FakeGdc(
        [
            (hit, content[:-2] + b"9\n") if k == 1 else (hit, content)
            for k, (hit, content) in enumerate(gdc.files)
        ]
    )
    settings = settings_of(gdc, replay, tmp_path)
    answers = [broken, gdc]
    replay.serve(
        DATA,
        lambda request: answers[min(len(batches(replay)), 2) - 1].archive(json.loads(request.body)["ids"]),
    )
    downloads = Downloads(settings)
    plan = planned(downloads)
    fill_cache(plan, downloads, batch=50)
    damaged = next(one for one in plan.downloads if one.name.startswith(gdc.files[1][0]["file_id"]))
    assert downloads.missing(plan.downloads) == [damaged], "one file alone is left to a single download"
    downloads.bring(plan.downloads, into=tmp_path / "raw")
    assert (tmp_path / "raw" / damaged.name).read_bytes() == gdc.files[1][1]


@pytest.mark.parametrize(
    "fault",
    [Fault.status(503), Fault.status(403), Fault.status(404), Fault.page_with_200(), Fault.drop(),
     Fault.page_with_200(b'{"message": "internal server error"}')],
    ids=["503", "403", "404", "page", "drop", "message"],
)  # fmt: skip
def test_when_batches_fail_the_files_come_one_by_one(
    replay: ReplayServer, tmp_path: Path, fault: Fault
) -> None:
    gdc = FakeGdc(kich(8))
    replay.fault(DATA, fault, times=50)
    raw = fetched(gdc, replay, tmp_path, gdc_batch=2)
    assert sum("/" in name for name in raw) == 8
    assert len(batches(replay)) == 3, "after three batches that brought nothing, no more are asked for"
    assert len(singles(replay)) == 8


def extra(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"evil\n"
) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, content


def test_no_member_is_trusted(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(3))
    name = f"{gdc.files[0][0]['file_id']}/{gdc.files[0][0]['file_name']}"
    gdc.extras = [
        extra("../../escaped.txt"), extra("/tmp/escaped.txt"), extra(name, tarfile.SYMTYPE, "/etc/passwd"),
        extra(name, tarfile.LNKTYPE, "../../escaped.txt"), extra(name, tarfile.FIFOTYPE), extra(name, tarfile.CHRTYPE),
        extra(name), extra(f"../{name}"), extra(name.split("/")[0] + "/annotations.txt", content=b"id\tcategory\n"),
    ]  # fmt: skip
    raw = fetched(gdc, replay, tmp_path)
    assert raw[name] == gdc.files[0][1]
    assert not [path for path in tmp_path.rglob("*") if "escaped" in path.name or path.is_symlink()]
    assert sum("/" in one for one in raw) == 3


def test_a_huge_stranger_ends_the_batch(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(3))
    gdc.extras = [extra("stranger.bin", content=bytes(MOST_EXTRA + 1))]
    raw = fetched(gdc, replay, tmp_path)
    assert len(batches(replay)) == 1
    assert len(singles(replay)) == 3
    assert sum("/" in one for one in raw) == 3


def test_far_too_many_members_end_the_batch(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(3))
    gdc.extras = [extra(f"n{k}") for k in range(100)]
    fetched(gdc, replay, tmp_path)
    assert len(singles(replay)) == 3


def test_the_token_goes_to_data_only_and_into_no_file(
    replay: ReplayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GDC_TOKEN", TOKEN)
    gdc = FakeGdc([*kich(4, access="controlled")[:2], *kich(4)[2:]])
    from consilience.sources.gdc.manifest import manifest_text

    (tmp_path / "m.tsv").write_text(manifest_text([hit for hit, _ in gdc.files], release="r"))
    cohort = Cohort("kich", "bulk", "gdc", "m.tsv")
    replay.fault(DATA, Fault.cut_at(0), times=1)
    with caplog.at_level("DEBUG"):
        raw = fetched(gdc, replay, tmp_path, cohort)
    assert sum("/" in name for name in raw) == 4
    controlled = {hit["file_id"] for hit, _ in gdc.files if hit["access"] == "controlled"}
    for request in replay.requests:
        if request.headers.get("x-auth-token"):
            ids = set(json.loads(request.body)["ids"]) if request.body else {request.path.rpartition("/")[2]}
            assert request.path.startswith(DATA)
            assert ids <= controlled
    assert any(request.headers.get("x-auth-token") == TOKEN for request in replay.requests)
    assert TOKEN not in caplog.text
    for path in tmp_path.rglob("*"):
        assert not (path.is_file() and TOKEN.encode() in path.read_bytes()), path


def test_offline_the_same_cohort_comes_from_the_cache(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(4))
    online = fetched(gdc, replay, tmp_path)
    n = len(replay.requests)
    offline = fetched(gdc, replay, tmp_path, offline=True)
    assert len(replay.requests) == n
    assert {k: v for k, v in online.items() if k != "provenance.json"} == {
        k: v for k, v in offline.items() if k != "provenance.json"
    }


def test_an_error_of_the_server_is_told_with_its_address(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(2))
    replay.fault("/gdc/files", Fault.page_with_200(), times=20)
    with pytest.raises(DownloadError, match=r"api\.gdc\.cancer\.gov/files"):
        fetched(gdc, replay, tmp_path)


def test_a_refusal_is_quoted_in_the_servers_words(replay: ReplayServer, tmp_path: Path) -> None:
    gdc = FakeGdc(kich(2))
    settings = settings_of(gdc, replay, tmp_path)
    replay.serve("/gdc/files", lambda _request: Answer(b'{"message": "Invalid filters"}', status=400))
    with pytest.raises(DownloadError, match=r"400.*'Invalid filters'"):
        planned(Downloads(settings))


def test_an_archive_that_is_not_compressed_is_read_too() -> None:
    gdc = FakeGdc(kich(3))
    archive = gzip.decompress(gdc.archive([hit["file_id"] for hit, _ in gdc.files]))
    keeper, kept = Keeper(), set[str]()
    unpack_stream(io.BytesIO(archive), wanted=planned_from(gdc).downloads, downloads=keeper, kept=kept)  # type: ignore[arg-type]
    assert len(kept) == 3


@pytest.mark.parametrize("n", [1, 7, 1000, 70_000])
def test_inflating_gives_the_same_bytes_for_any_size_of_pieces(n: int) -> None:
    content = stream(2, "bytes").bytes(50_000) + bytes(300_000)

    class Drips(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return self.read(min(n, size or n))

    for packed in (gzip.compress(content, mtime=0), content):
        inflated = Inflated(Drips(packed), most=len(content))
        assert inflated.peek(100) == content[:100]
        pieces = []
        while piece := inflated.read(max(n, 999)):
            pieces.append(piece)
        assert b"".join(pieces) == content
        assert inflated.error is None
    short = Inflated(Drips(gzip.compress(content, mtime=0)), most=len(content) - 1)
    while short.read(10_000):
        pass
    assert "far more than was asked for" in str(short.error)
