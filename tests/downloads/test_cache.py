"""The cache: readable, verified, shared between processes, filled by hand, used offline."""

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from consilience.downloads.cache import BY_HAND
from consilience.downloads.meter import Meter
from consilience.downloads.request import Download
from consilience.downloads.transfer import UNSURE
from consilience.downloads.urls import cache_name
from consilience.foundation.errors import DataError, DownloadError
from replay import Fault, serve_until

NCBI = "https://ftp.ncbi.nlm.nih.gov/geo/"
BRING = """
import sys
from pathlib import Path
from consilience.downloads.downloads import Downloads
from consilience.downloads.request import Download
from consilience.study.sections import FetchSection
url, folder = sys.argv[1], Path(sys.argv[2])
downloads = Downloads(FetchSection(cache="cache", stall_seconds=5.0), folder=folder)
downloads.bring([Download("a.bin", url)], into=folder / sys.argv[3])
"""


def start(url, folder, raw, root):
    code = [sys.executable, "-c", BRING, url, str(folder), raw]
    return subprocess.Popen(code, env=os.environ | {"PYTHONPATH": str(root / "scripts")})


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (
            "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE1nnn/a.txt.gz",
            "ftp.ncbi.nlm.nih.gov/geo/series/GSE1nnn/a.txt.gz",
        ),
        ("http://127.0.0.1:8000/a", "127.0.0.1_8000/a"),
        ("https://h.org/dir/", "h.org/dir/_index"),
        ("https://h.org", "h.org/_index"),
    ],
)
def test_names_are_readable(url, name):
    assert str(cache_name(url)) == name


def test_names_are_safe_and_different():
    urls = [
        "https://h.org/a?x=1", "https://h.org/a?x=2", "https://h.org/a", "https://h.org/%61b/c", "https://h.org/a/../b",
        "https://h.org/a%2Fb", "https://h.org/..%2F..%2Fetc", "https://h.org/.hidden", "https://h.org/a.part",
        "https://h.org/a.meta.json", "https://h.org/" + "x" * 300, "https://h.org/" + "x" * 301, "https://h.org//a",
        "https://h.org/_index", "https://h.org/",
    ]  # fmt: skip
    names = [cache_name(url) for url in urls] + [cache_name("https://h.org/a", '{"ids": []}')]
    assert len(set(names)) == len(names)
    for name in names:
        assert not name.is_absolute()
        assert all(len(step) < 200 and not step.startswith(".") for step in name.parts)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://h.org/a", "not an address that can be asked"),
        ("https://user:secret@h.org/a", "must not hold a user name or password"),
        ("https://h.org/a b", "printable ASCII without spaces"),
        ("https://h.org:x/a", "not an address"),
        ("relative", "not an address"),
    ],
)
def test_addresses_that_are_refused(downloads, tmp_path, url, said):
    with pytest.raises(DownloadError, match=said) as caught:
        downloads().bring([Download("a", url)], into=tmp_path / "raw")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [(["../a"], "not a name"), (["/a"], "not a name"), (["a//b"], "not a name"), (["a\\b"], "not a name"),
     (["a\n"], "not a name"), (["a", "A"], "two downloads would be one"), (["a", "a/b"], "another one's folder")],
)  # fmt: skip
def test_names_in_the_raw_folder_that_are_refused(downloads, tmp_path, names, said):
    with pytest.raises(DownloadError, match=said):
        downloads().bring([Download(name, "https://h.org/a") for name in names], into=tmp_path / "raw")


def test_a_second_study_asks_nothing(replay, downloads, tmp_path, content):
    url = replay.serve("/a.gz", content)
    for raw in ("one", "two"):
        downloads().bring([Download("a.gz", url)], into=tmp_path / raw)
    assert len(replay.requests) == 1
    held = tmp_path / "cache" / f"127.0.0.1_{replay.port}" / "a.gz"
    assert held.stat().st_nlink == 3
    assert held.stat().st_mode & 0o777 == 0o444
    meta = json.loads((held.parent / "a.gz.meta.json").read_text())
    assert (meta["url"], meta["bytes"], meta["md5"]) == (url, len(content), hashlib.md5(content).hexdigest())


def test_where_links_are_impossible_it_copies(replay, downloads, tmp_path, content, monkeypatch):
    def no_link(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    downloads().bring([Download("a.gz", replay.serve("/a.gz", content))], into=tmp_path / "raw")
    assert (tmp_path / "raw" / "a.gz").read_bytes() == content
    assert (tmp_path / "raw" / "a.gz").stat().st_nlink == 1


def test_a_changed_file_is_thrown_away_and_fetched_again(replay, downloads, tmp_path, content, caplog):
    wanted = Download("a.gz", replay.serve("/a.gz", content))
    downloads().bring([wanted], into=tmp_path / "raw")
    held = downloads().place_of(wanted)
    held.chmod(0o644)
    held.write_bytes(content[:-1] + b"?")
    assert not downloads().has(wanted)
    with pytest.raises(
        DownloadError, match="cannot be used: its bytes are no longer those that were downloaded"
    ):
        downloads(offline=True).bring([wanted], into=tmp_path / "raw")
    with caplog.at_level("WARNING"):
        downloads().bring([wanted], into=tmp_path / "raw")
    assert "thrown away" in caplog.text
    assert (tmp_path / "raw" / "a.gz").read_bytes() == content


def test_another_digest_in_the_catalogue_asks_again(replay, downloads, tmp_path, content):
    url = replay.serve("/a.gz", content)
    downloads().bring([Download("a.gz", url)], into=tmp_path / "raw")
    with pytest.raises(DownloadError, match=r"expected is 1{64}"):
        downloads().bring([Download("a.gz", url, sha256="1" * 64)], into=tmp_path / "raw")
    assert len(replay.requests) == 3


def test_offline_lists_exactly_what_is_missing_and_opens_no_socket(downloads, tmp_path, content, monkeypatch):
    def no_socket(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", no_socket)
    monkeypatch.setattr(socket, "create_connection", no_socket)
    one = downloads(offline=True)
    files = [Download("a", NCBI + "a.gz", bytes=1_234_567), Download("b", NCBI + "b.gz"), Download("c", NCBI + "c.gz"),
             Download("d", NCBI + "d.gz", optional=True)]  # fmt: skip
    one.keep(files[2], io.BytesIO(content))
    assert [wanted.name for wanted in one.missing(files)] == ["a", "b", "d"]
    with pytest.raises(DownloadError, match="2 problems") as caught:
        one.bring(files, into=tmp_path / "raw")
    first, second = caught.value.problems
    assert (first.where, second.where) == (NCBI + "a.gz", NCBI + "b.gz")
    assert "1,234,567 bytes" in first.what
    assert "size unknown" in second.what
    for wanted, problem in zip(files, caught.value.problems, strict=False):
        assert str(one.place_of(wanted)) in problem.mend
        one.place_of(wanted).write_bytes(content)
    assert [wanted.name for wanted in one.missing(files)] == ["a", "d"], "a has another size"
    with pytest.raises(DownloadError, match="offline is set"):
        one.read(NCBI)
    with pytest.raises(DownloadError, match="offline is set"), one.stream(NCBI):
        pytest.fail("there is nothing")


def test_files_put_there_by_hand_are_judged(downloads, tmp_path, content):
    one = downloads(offline=True)
    cases = {
        "good.gz": (content, ""),
        "cut.gz": (content[:-9], "gzip stream is cut"),
        "text.tsv": (b"a\tb\n", ""),
        "page.tsv": (b"<html><title>Sign in</title>", "it is a web page"),
    }
    for name, (held, said) in cases.items():
        wanted = Download(name, NCBI + name)
        one.place_of(wanted).parent.mkdir(parents=True, exist_ok=True)
        one.place_of(wanted).write_bytes(held)
        if said:
            with pytest.raises(DownloadError, match=said):
                one.bring([wanted], into=tmp_path / "raw")
            assert one.place_of(wanted).exists(), "what a person brought is not deleted offline"
        else:
            (arrived,) = one.bring([wanted], into=tmp_path / "raw")
            assert arrived.notes == ((BY_HAND,) if name == "good.gz" else (BY_HAND, UNSURE))
    digest = hashlib.sha256(b"a\tb\n").hexdigest()
    assert one.has(Download("text.tsv", NCBI + "text.tsv", sha256=digest))


def test_answers_are_asked_afresh_and_kept_for_offline(replay, downloads):
    url = replay.serve("/series/", b"<html>one</html>")
    assert downloads().read(url) == b"<html>one</html>"
    replay.serve("/series/", b"<html>two</html>")
    assert downloads().read(url) == b"<html>two</html>"
    assert downloads(offline=True).read(url) == b"<html>two</html>"
    asked = replay.serve("/files", lambda request: b'{"asked": ' + request.body + b"}")
    for body in ('{"from": 0}', '{"from": 1}'):
        assert downloads().read(asked, body=body) == b'{"asked": ' + body.encode() + b"}"
    assert downloads(offline=True).read(asked, body='{"from": 0}') == b'{"asked": {"from": 0}}'
    with pytest.raises(DownloadError, match="web page"):
        downloads().read(replay.serve("/status", b"<html>Sorry</html>"))


def test_an_optional_answer_may_be_absent_and_stays_so_offline(replay, downloads, tmp_path, caplog):
    url = replay.url + "/counts"
    assert downloads().read(url, optional=True) is None
    with caplog.at_level("WARNING"):
        assert downloads(offline=True).read(url, optional=True) is None
        assert caplog.text == ""
        assert downloads(offline=True).read(url + "2", optional=True) is None
    assert "taken as absent" in caplog.text
    wanted = [Download("c", url, optional=True)]
    assert downloads().bring(wanted, into=tmp_path / "raw") == []
    assert downloads(offline=True).missing(wanted) == []
    replay.serve("/counts", b"now")
    assert downloads().read(url, optional=True) == b"now"
    with pytest.raises(DownloadError, match="404"):
        downloads().read(url + "3")


def test_mirrors_change_the_server_but_not_the_name(replay, downloads, tmp_path, content):
    replay.serve("/near/suppl/a.gz", content)
    replay.serve("/far/a.gz", b"wrong")
    mirrors = {"https://ftp.ncbi.nlm.nih.gov/": replay.url + "/far/", NCBI: replay.url + "/near/"}
    (one,) = downloads(mirrors=mirrors).bring([Download("a.gz", NCBI + "suppl/a.gz")], into=tmp_path / "raw")
    assert one.url == NCBI + "suppl/a.gz"
    assert (tmp_path / "cache/ftp.ncbi.nlm.nih.gov/geo/suppl/a.gz").is_file()
    for bad in ({"https://h.org": "https://i.org/"}, {"https://h.org/": "ftp://i.org/"}):
        with pytest.raises(DownloadError, match=r"must end in '/'|not an address"):
            downloads(mirrors=bad)


def test_one_file_for_two_processes_and_two_names_is_asked_once(replay, downloads, tmp_path, root):
    url = replay.serve("/a.bin", os.urandom(200_000))
    replay.delay = 0.5
    processes = [start(url, tmp_path, raw, root) for raw in ("one", "two")]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert [request.method for request in replay.requests] == ["GET"]
    assert (tmp_path / "one/a.bin").read_bytes() == (tmp_path / "two/a.bin").read_bytes()
    replay.delay = 0.0
    other = replay.serve("/b.bin", b"b")
    downloads().bring([Download("b", other), Download("c", other)], into=tmp_path / "raw")
    assert len(replay.asked("/b.bin")) == 1


def test_connections_to_a_host_are_limited_over_all_jobs(replay, downloads, tmp_path):
    replay.delay = 0.03
    for n in range(24):
        replay.serve(f"/{n}", b"x" * n)
    jobs = [downloads(per_host=2) for _ in range(3)]
    threads = [
        threading.Thread(
            target=job.fill, args=([Download(f"{n}", f"{replay.url}/{n}") for n in range(number, 24, 3)],)
        )
        for number, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(replay.requests) == 24
    assert replay.most_at_once == 2


def test_a_job_that_waits_for_another_says_so(downloads, replay, monkeypatch, caplog):
    monkeypatch.setattr("consilience.downloads.cache.PATIENT_SECONDS", 0.1)
    wanted = Download("a.bin", replay.serve("/a.bin", b"a"))
    first = downloads()
    with caplog.at_level("INFO"), first._cache.lock(wanted):
        thread = threading.Thread(target=downloads().fill, args=([wanted],))
        thread.start()
        thread.join(timeout=0.4)
        assert thread.is_alive()
    thread.join(timeout=20)
    assert "waiting for another job that downloads a.bin" in caplog.text


def test_all_failures_are_reported_at_once(replay, downloads, tmp_path):
    files = [Download("a", replay.serve("/a", b"a")), *(Download(n, f"{replay.url}/{n}") for n in ("x", "y"))]
    with pytest.raises(DownloadError, match="2 problems"):
        downloads().bring(files, into=tmp_path / "raw")
    assert (tmp_path / "raw" / "a").read_bytes() == b"a"


def test_a_full_disk_is_said_before_a_long_download(replay, downloads, tmp_path, monkeypatch):
    import shutil

    wanted = Download("a", replay.serve("/a", b"x" * 1000))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(DataError, match=r"the disk is full .*may need 0\.0 MB"):
        downloads().bring([wanted], into=tmp_path / "raw")


def test_a_stopped_job_leaves_parts_that_the_next_one_continues(replay, downloads, tmp_path, content):
    url = replay.serve("/a.gz", content)
    replay.fault("/a.gz", Fault.stall(30, after=150_000))
    one = downloads(stall_seconds=20.0)
    ended = []

    def fill():
        with pytest.raises(DownloadError, match="stopped") as caught:
            one.fill([Download("a.gz", url)])
        ended.append(caught.value)

    one_thread = threading.Thread(target=fill)
    one_thread.start()
    part = one.place_of(Download("a.gz", url)).with_name("a.gz.part")
    assert serve_until(replay, lambda: part.exists() and part.stat().st_size >= 150_000)
    one._stop.set()
    replay._closing.set()  # ends the stall
    one_thread.join(timeout=20)
    assert ended
    replay._closing.clear()
    downloads().bring([Download("a.gz", url)], into=tmp_path / "raw")
    assert (tmp_path / "raw" / "a.gz").read_bytes() == content
    assert int(replay.requests[-1].range[6:-1]) >= 150_000


def test_the_log_tells_files_bytes_rate_and_time_left(caplog):
    now = [0.0]
    meter = Meter(
        [Download("a", "u", bytes=4_000_000), Download("b", "u", bytes=6_000_000)], clock=lambda: now[0]
    )
    with caplog.at_level("INFO"):
        meter.begin("a", 1_000_000)
        now[0] = 4.0
        meter.at("a", 2_000_000)
        assert caplog.text == ""
        now[0] = 10.0
        meter.done("a", 4_000_000)
        meter.at("b", 1_000_000)
    assert "downloads: 1 of 2 files, 5.0 of 10.0 MB, 0.20 MB/s, 25 s left" in caplog.text
