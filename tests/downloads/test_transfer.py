"""One fault after the other: the file arrives whole, or an error says why it did not."""

import gzip
import hashlib
import io
import os

import pytest

from consilience.downloads.answers import Temporary
from consilience.downloads.request import Download
from consilience.downloads.transfer import UNSURE, Patience
from consilience.foundation.errors import DownloadError
from replay import Answer, Fault

PATH = "/geo/a.txt.gz"


def bring(one, download, folder):
    return one.bring([download], into=folder / "raw")


def arrived(folder, name="a.txt.gz"):
    return (folder / "raw" / name).read_bytes()


FAULTS = {
    "page": Fault.page_with_200(),
    "cut at the first byte": Fault.cut_at(0),
    "cut": Fault.cut_at(70_000),
    "cut before the last byte": Fault.cut_at(200_000),
    "cut without length": Fault.cut_at(70_000, length=False),
    "stall at once": Fault.stall(2),
    "stall": Fault.stall(2, after=100_000),
    "429": Fault.status(429),
    "503": Fault.status(503, retry_after=0),
    "500": Fault.status(500),
    "408": Fault.status(408),
    "no range": Fault.no_range(),
    "no length": Fault.no_length(),
    "encoded": Fault.encoded(),
    "reset": Fault.drop(),
}


@pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])
@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_survived(replay, downloads, tmp_path, content, name, digest):
    url = replay.serve(PATH, content)
    replay.fault(PATH, FAULTS[name])
    sha256 = hashlib.sha256(content).hexdigest() if digest else ""
    (one,) = bring(downloads(), Download("a.txt.gz", url, sha256=sha256), tmp_path)
    assert arrived(tmp_path) == content
    assert (one.bytes, one.sha256, one.notes) == (len(content), hashlib.sha256(content).hexdigest(), ())
    assert [path.name for path in (tmp_path / "cache").rglob("*.part*")] == []


def test_cut_connections_resume_and_bring_every_byte_once(replay, downloads, tmp_path, content):
    url = replay.serve(PATH, content)
    for n in (1000, 70_001, 12):
        replay.fault(PATH, Fault.cut_at(n))
    bring(downloads(attempts=1), Download("a.txt.gz", url), tmp_path)
    assert arrived(tmp_path) == content
    assert [request.range for request in replay.requests] == [
        "",
        "bytes=1000-",
        "bytes=71001-",
        "bytes=71013-",
    ]
    assert len({request.headers["if-range"] for request in replay.requests[1:]}) == 1
    assert replay.sent == len(content)


def test_a_server_without_etag_is_resumed_by_its_date(replay, downloads, tmp_path, content):
    url = replay.serve(PATH, content, etag=False)
    replay.fault(PATH, Fault.cut_at(1000))
    bring(downloads(), Download("a.txt.gz", url), tmp_path)
    assert replay.requests[1].headers["if-range"].endswith("GMT")
    assert replay.sent == len(content)


@pytest.mark.parametrize("etag", [False, 'W/"1"'], ids=["none", "weak"])
def test_without_a_version_a_part_is_begun_again_unless_a_digest_will_tell(
    replay, downloads, tmp_path, content, etag
):
    for path, md5 in (("/plain.gz", ""), ("/known.gz", hashlib.md5(content).hexdigest())):
        replay.serve(path, content, etag=etag, last_modified=False)
        replay.fault(path, Fault.cut_at(1000))
        bring(downloads(), Download(path[1:], replay.url + path, md5=md5), tmp_path)
        assert arrived(tmp_path, path[1:]) == content
        assert replay.asked(path)[1].range == ("bytes=1000-" if md5 else "")


@pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.changed_between_parts(),
        Fault.changed_between_parts(deaf=True),
        Fault.wrong_range(),
        Fault.not_satisfiable(),
        Fault.no_range(),
        Fault.encoded(),
    ],
    ids=lambda fault: f"{fault.kind} {fault.text}".strip(),
)
def test_what_comes_after_a_cut_is_not_glued_to_another_version(replay, downloads, tmp_path, fault, digest):
    content = os.urandom(50_000)
    url = replay.serve("/a.bin", content)
    replay.fault("/a.bin", Fault.cut_at(20_000))
    replay.fault("/a.bin", fault)
    known = {"md5": hashlib.md5(content).hexdigest()} if digest else {}
    bring(downloads(), Download("a.bin", url, **known), tmp_path)
    # without a digest the other version, whole, is as good as the first
    whole = {content} if digest or fault.kind != "changed" else {content, content[::-1]}
    assert arrived(tmp_path, "a.bin") in whole


def test_a_wrong_digest_is_tried_once_more_and_then_refused_with_both(replay, downloads, tmp_path, content):
    url = replay.serve(PATH, content)
    wanted = Download("a.txt.gz", url, md5="0" * 32)
    with pytest.raises(
        DownloadError, match=rf"md5 digest is {hashlib.md5(content).hexdigest()}, expected is 0{{32}}"
    ):
        bring(downloads(), wanted, tmp_path)
    assert len(replay.requests) == 2
    assert not downloads().has(wanted)
    assert not list((tmp_path / "cache").rglob("a.txt.gz*"))
    replay.fault(PATH, Fault.wrong_content())
    bring(downloads(), Download("a.txt.gz", url, sha256=hashlib.sha256(content).hexdigest()), tmp_path)
    assert arrived(tmp_path) == content


@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
def test_another_size_than_expected_is_refused(replay, downloads, tmp_path, length):
    url = replay.serve("/a.bin", b"x" * 100)
    if not length:
        replay.fault("/a.bin", Fault.no_length(), times=10)
    with pytest.raises(DownloadError, match=r"100 bytes where 90 are expected|100 bytes came where 90"):
        bring(downloads(), Download("a.bin", url, bytes=90), tmp_path)


def test_a_page_is_named_by_its_title(replay, downloads, tmp_path):
    url = replay.serve(
        PATH, b"\xef\xbb\xbf\n<!DOCTYPE html><html><head><title>\n Down for\tMaintenance </title>"
    )
    with pytest.raises(
        DownloadError, match=r"a web page, titled 'Down for Maintenance' came in place of the file"
    ):
        bring(downloads(), Download("a.txt.gz", url, bytes=12), tmp_path)
    (one,) = bring(downloads(), Download("a.html", replay.serve("/a.html", b"<html>")), tmp_path)
    assert one.bytes == 6


@pytest.mark.parametrize(("status", "said"), [(404, "no such file"), (410, "no such file"), (403, "not for everybody"),
                                              (401, "not for everybody"), (418, "answers 418")])  # fmt: skip
def test_what_will_not_pass_is_not_tried_again(replay, downloads, tmp_path, status, said):
    url = replay.serve(PATH, b"")
    replay.fault(PATH, Fault.status(status), times=99)
    with pytest.raises(DownloadError, match=said):
        bring(downloads(), Download("a.txt.gz", url), tmp_path)
    assert len(replay.requests) == 1


def test_controlled_data_without_a_token_says_what_a_token_is(replay, downloads, tmp_path):
    replay.serve("/gdc/data/1", b"")
    replay.fault("/gdc/data/1", Fault.status(403), times=9)
    one = downloads(mirrors={"https://api.gdc.cancer.gov/": replay.url + "/gdc/"})
    with pytest.raises(DownloadError, match=r"controlled data.*gdc_token_file"):
        bring(one, Download("1", "https://api.gdc.cancer.gov/data/1"), tmp_path)


def test_attempts_count_only_tries_without_progress(replay, downloads, tmp_path, content):
    url = replay.serve(PATH, content)
    for n in range(20):
        replay.fault(PATH, Fault.cut_at(1000 + n))
    bring(downloads(attempts=1), Download("a.txt.gz", url), tmp_path)
    replay.serve("/b.gz", content)
    replay.fault("/b.gz", Fault.cut_at(1000))
    replay.fault("/b.gz", Fault.status(503), times=99)
    before = len(replay.requests)
    with pytest.raises(
        Temporary, match=r"given up after 3 tries without progress: .*503.*1,000 bytes are kept"
    ):
        bring(downloads(attempts=3), Download("b.gz", replay.url + "/b.gz"), tmp_path)
    assert len(replay.requests) - before == 4
    replay.mend()
    bring(downloads(), Download("b.gz", replay.url + "/b.gz"), tmp_path)
    assert replay.requests[-1].range == "bytes=1000-"


def test_a_server_that_always_cuts_at_the_same_byte_is_given_up(replay, downloads, tmp_path, content):
    url = replay.serve(PATH, content, ranges=False)
    replay.fault(PATH, Fault.cut_at(1000), times=99)
    with pytest.raises(Temporary, match="without progress"):
        bring(downloads(), Download("a.txt.gz", url), tmp_path)
    assert len(replay.requests) < 12


def test_plain_text_of_unknown_length_is_taken_with_a_note(replay, downloads, tmp_path):
    url = replay.serve("/a.tsv", b"a\tb\n1\t2\n")
    replay.fault("/a.tsv", Fault.no_length())
    (one,) = bring(downloads(), Download("a.tsv", url), tmp_path)
    assert one.notes == (UNSURE,)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_an_encoding_nobody_asked_for(replay, downloads, tmp_path, content, name):
    """A label on a .gz file is not undone; a real second compression is; so is that of a plain file."""
    plain = gzip.decompress(content)
    stored = content if name.endswith(".gz") else plain
    url = replay.serve("/" + name, lambda _: Answer(content, headers={"Content-Encoding": "x-gzip"}))
    bring(downloads(), Download(name, url, bytes=len(stored)), tmp_path)
    assert arrived(tmp_path, name) == stored
    assert replay.requests[0].headers["accept-encoding"] == "identity"
    twice = replay.serve("/2/" + name, stored)
    replay.fault("/2/" + name, Fault.encoded())
    bring(downloads(), Download("2" + name, twice, sha256=hashlib.sha256(stored).hexdigest()), tmp_path)
    assert arrived(tmp_path, "2" + name) == stored


def test_an_unknown_encoding_is_refused(replay, downloads, tmp_path):
    url = replay.serve("/a", lambda _: Answer(b"x", headers={"Content-Encoding": "br"}))
    with pytest.raises(DownloadError, match="encoding that was not asked for"):
        bring(downloads(), Download("a", url), tmp_path)


def test_redirects_are_followed_and_bounded(replay, downloads, tmp_path, content):
    url = replay.serve(PATH, content)
    replay.fault("/old", Fault.redirect("/geo/../geo/a.txt.gz?x=1", 301))
    bring(downloads(), Download("a.txt.gz", replay.url + "/old"), tmp_path)
    assert arrived(tmp_path) == content
    replay.fault(PATH, Fault.redirect(url), times=99)
    with pytest.raises(DownloadError, match="more than 10 redirects"):
        bring(downloads(), Download("b.txt.gz", url + "?again"), tmp_path)
    replay.mend()
    replay.fault(PATH, Fault.redirect("file:///etc/passwd"))
    with pytest.raises(DownloadError, match="not an address that can be asked"):
        bring(downloads(), Download("b.txt.gz", url + "?file"), tmp_path)


def test_a_dead_host_is_left_alone_after_a_few_files(downloads, tmp_path):
    files = [Download(f"{n}", f"http://127.0.0.1:9/{n}") for n in range(40)]
    with pytest.raises(DownloadError, match="40 problems") as caught:
        downloads(attempts=2).bring(files, into=tmp_path / "raw")
    said = [problem.what for problem in caught.value.problems]
    assert sum("given up" in one for one in said) < 8
    assert sum("not tried" in one for one in said) > 30


def test_stream_gives_the_body_and_breaks_off_with_a_temporary_error(replay, downloads, content):
    url = replay.serve(PATH, content)
    with downloads().stream(url) as handle:
        assert handle.read(3) == content[:3]
        assert handle.read() == content[3:]
    replay.fault(PATH, Fault.cut_at(1000))
    with pytest.raises(Temporary), downloads().stream(url, body='{"a": 1}') as handle:
        handle.read()
    assert (replay.requests[-1].method, replay.requests[-1].body) == ("POST", b'{"a": 1}')
    replay.fault(PATH, Fault.status(503))
    with pytest.raises(Temporary, match="503"), downloads().stream(url):
        pytest.fail("there is no body")


def test_keep_takes_only_what_is_wanted(downloads, tmp_path, content):
    one = downloads()
    wanted = Download(
        "a", "https://api.gdc.cancer.gov/data/1", bytes=len(content), md5=hashlib.md5(content).hexdigest()
    )
    with pytest.raises(DownloadError, match="bytes came where"):
        one.keep(wanted, io.BytesIO(content[:-1]))
    with pytest.raises(DownloadError, match="md5 digest"):
        one.keep(wanted, io.BytesIO(content[:-1] + b"?"))
    assert not one.has(wanted)
    one.keep(wanted, io.BytesIO(content))
    assert one.has(wanted)
    bring(downloads(offline=True), wanted, tmp_path)
    assert arrived(tmp_path, "a") == content


def test_waits_double_up_to_a_bound_and_follow_the_server():
    import random

    patience = Patience.of(attempts=6, stall_seconds=60)
    waits = [patience.pause(n, asked=None, spread=random.Random(n)) for n in range(1, 12)]
    assert all(0.75 * 2 * 2**n <= wait <= 1.25 * 2 * 2**n for n, wait in enumerate(waits[:5]))
    assert max(waits) <= 75
    assert patience.pause(1, asked=100, spread=random.Random(1)) == 100
    assert patience.pause(1, asked=1e9, spread=random.Random(1)) == 600
