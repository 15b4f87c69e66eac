"""After any sequence of faults the cache holds the right file or none; and when they end, the file comes."""

import gzip
import hashlib
import os
import random
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consilience.downloads.downloads import Downloads
from consilience.downloads.request import Download
from consilience.foundation.errors import DownloadError
from consilience.study.sections import FetchSection
from replay import Fault, ReplayServer, serve_until

SIZES = (300, 20_000, 150_000)
NUMBER = count()


def packed(n, seed):
    return gzip.compress(random.Random(seed).randbytes(n), mtime=0)


CONTENTS = {n: packed(n, n) for n in SIZES}
OTHERS = {n: packed(n, n + 1) for n in SIZES}


def faults(content, other):
    """Each fault that a server can show, at any byte."""
    byte = st.integers(0, len(content)) | st.sampled_from([0, 1, len(content) - 1])
    return st.one_of(
        byte.map(Fault.cut_at),
        byte.map(lambda n: Fault.cut_at(n, length=False)),
        byte.map(lambda n: Fault.stall(0.4, after=n)),
        st.sampled_from([408, 429, 500, 502, 503, 504]).map(lambda status: Fault.status(status, retry_after=0)),
        st.sampled_from([404, 403]).map(Fault.status),
        st.sampled_from([
            Fault.page_with_200(), Fault.wrong_content(), Fault.no_range(), Fault.wrong_range(), Fault.no_length(),
            Fault.not_satisfiable(), Fault.encoded(), Fault.drop(), Fault.changed_between_parts(),
            Fault.changed_between_parts(other), Fault.changed_between_parts(other, deaf=True),
        ]),
    )  # fmt: skip


@st.composite
def stories(draw):
    """A file, what is known of it, what its server says of versions, and rounds of faults."""
    n = draw(st.sampled_from(SIZES))
    content, other = CONTENTS[n], OTHERS[n]
    known = {}
    if draw(st.booleans()):
        known["bytes"] = len(content)
    kind = draw(st.sampled_from(["", "md5", "sha256"]))
    if kind:
        known[kind] = hashlib.new(kind, content).hexdigest()
    served = {
        "etag": draw(st.sampled_from([True, False, 'W/"weak"'])),
        "last_modified": draw(st.booleans()),
        "ranges": draw(st.booleans()),
    }
    rounds = draw(st.lists(st.lists(faults(content, other), max_size=4), min_size=1, max_size=3))
    return content, other, known, served, rounds


@pytest.fixture(scope="module")
def server():
    with ReplayServer() as one:
        yield one


def download(folder, *, stall_seconds, attempts):
    return Downloads(
        FetchSection(cache="cache", stall_seconds=stall_seconds, attempts=attempts), folder=folder
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=stories())
def test_the_cache_is_right_or_empty_after_any_faults(server, story):
    content, other, known, served, rounds = story
    path = f"/{next(NUMBER)}/a.gz"
    url = server.serve(path, content, **served)
    wanted = Download("a.gz", url, **known)
    # without a digest, another whole version of the file is as good as this one
    right = {content} if "md5" in known or "sha256" in known else {content, other}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, some in enumerate(rounds):
            server.mend()
            for fault in some:
                server.fault(path, fault)
            one = download(folder, stall_seconds=0.15, attempts=2)
            held = one.place_of(wanted)
            try:
                one.bring([wanted], into=folder / "raw")
                assert (folder / "raw" / "a.gz").read_bytes() in right
                assert held.read_bytes() in right
            except DownloadError:
                assert not held.exists()
                assert not (folder / "raw" / "a.gz").exists(), f"round {number}"
                assert not one.has(wanted)
            assert len(server.asked(path)) < 60 * (number + 1), "tries are bounded"
        server.mend()
        download(folder, stall_seconds=20.0, attempts=4).bring([wanted], into=folder / "raw")
        assert (folder / "raw" / "a.gz").read_bytes() in right
        assert {left.name for left in (folder / "cache").rglob("a.gz*")} == {"a.gz", "a.gz.meta.json"}


BRING = """
import sys
from pathlib import Path
from consilience.downloads.downloads import Downloads
from consilience.downloads.request import Download
from consilience.study.sections import FetchSection
url, folder, sha256 = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
downloads = Downloads(FetchSection(cache="cache", stall_seconds=20.0), folder=folder)
downloads.bring([Download("a.gz", url, sha256=sha256)], into=folder / "raw")
"""


def start(url, folder, sha256, root):
    command = [sys.executable, "-c", BRING, url, str(folder), sha256]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(root / "scripts")})


@pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])
def test_a_killed_download_is_taken_up_where_it_was(tmp_path, root, digest):
    """SIGKILL three times in mid-download; the last process brings only the rest."""
    content = packed(3_000_000, 5)
    sha256 = hashlib.sha256(content).hexdigest() if digest else ""
    with ReplayServer() as server:
        url = server.serve("/a.gz", content)
        for n in (1_000_000, 700_000, 123_456):
            server.fault("/a.gz", Fault.stall(60, after=n))
            asked, sent = len(server.requests), server.sent
            process = start(url, tmp_path, sha256, root)
            parts = tmp_path / "cache" / f"127.0.0.1_{server.port}"
            before = sum(path.stat().st_size for path in parts.glob("*.part")) if parts.exists() else 0
            enough = before + n
            assert serve_until(
                server,
                lambda enough=enough, parts=parts: (
                    sum(p.stat().st_size for p in parts.glob("*.part")) >= enough
                ),
                seconds=60,
            )
            process.kill()
            process.wait(timeout=20)
            assert (len(server.requests), server.sent) == (asked + 1, sent + n)
            assert not (parts / "a.gz").exists()
        assert start(url, tmp_path, sha256, root).wait(timeout=60) == 0
        assert (tmp_path / "raw" / "a.gz").read_bytes() == content
        assert [request.range for request in server.requests] == [
            "",
            "bytes=1000000-",
            "bytes=1700000-",
            "bytes=1823456-",
        ]
        assert server.sent == len(content)


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(12))
def test_killed_at_any_moment(tmp_path, root, trial):
    """SIGKILL at random times, slow server; then run again: right, and nothing half in the cache on the way."""
    moments = random.Random(trial)
    content = packed(400_000, trial)
    with ReplayServer() as server:
        url = server.serve("/a.gz", content, etag=trial % 2 == 0)
        held = tmp_path / "cache" / f"127.0.0.1_{server.port}" / "a.gz"
        for _ in range(3):
            for _ in range(4):
                server.fault("/a.gz", Fault.stall(0.1, after=moments.randrange(len(content))))
            process = start(url, tmp_path, "", root)
            try:
                process.wait(timeout=moments.uniform(0.3, 1.2))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=20)
            assert not held.exists() or held.read_bytes() == content
        server.mend()
        assert start(url, tmp_path, "", root).wait(timeout=60) == 0
        assert (tmp_path / "raw" / "a.gz").read_bytes() == content
