"""What requests and their answers are allowed to be."""

import pytest

from consilience.downloads.answers import Client, retry_after
from consilience.downloads.parts import Part, Version, digests_of
from consilience.downloads.request import Download
from consilience.downloads.token import Token
from consilience.foundation.errors import DownloadError


class Response:
    """Just enough of an answer of requests."""

    def __init__(self, status, url, **headers):
        self.status_code, self.url, self.headers = status, url, headers

    def close(self):
        pass


def client_that_sees(monkeypatch, redirects):
    asked = []
    client = Client(mirrors={}, token=Token("secret"), stall_seconds=1.0)

    def send(method, url, body, headers):
        asked.append((method, url, body, headers))
        there = redirects.get(url)
        return Response(there[0], url, Location=there[1]) if there else Response(200, url)

    monkeypatch.setattr(client, "_send", send)
    return client, asked


def test_no_redirect_from_https_to_http(monkeypatch):
    client, asked = client_that_sees(monkeypatch, {"https://h.org/a": (302, "http://h.org/b")})
    with pytest.raises(DownloadError, match="from https to http"), client.ask("https://h.org/a"):
        pytest.fail("it was followed")
    assert len(asked) == 1


@pytest.mark.parametrize("there", ["http://127.0.0.1:1/b", "https://other.org/b", "//other.org/b", "/b"])
def test_other_redirects_are_followed_without_the_token_of_the_gdc(monkeypatch, there):
    first = "https://api.gdc.cancer.gov/a"
    client, asked = client_that_sees(monkeypatch, {first: (307, there)})
    with client.ask(first, authorised=True) as answer:
        assert answer.authorised == (there == "/b")
    assert [bool(headers) for *_, headers in asked] == [True, there == "/b"]


@pytest.mark.parametrize(
    ("status", "method", "body"), [(301, "POST", "{}"), (308, "POST", "{}"), (303, "GET", "")]
)
def test_a_question_is_asked_again_where_it_is_sent(monkeypatch, status, method, body):
    client, asked = client_that_sees(monkeypatch, {"https://h.org/a": (status, "/b")})
    with client.ask("https://h.org/a", body="{}"):
        assert asked[1][:3] == (method, "https://h.org/b", body)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "120"}, 120),
        ({"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}, 60),
        ({"Retry-After": "Tue, 14 Nov 2023 22:12:20 GMT", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}, 0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:12:20 GMT"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
def test_what_a_server_asks_to_wait(headers, seconds):
    assert retry_after(headers) == seconds


DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("version", "condition"),
    [
        (Version("u", etag='"1"', last_modified=DATE, date=DATE), '"1"'),
        (Version("u", etag='W/"1"', last_modified=DATE, date="Tue, 14 Nov 2023 22:15:20 GMT"), DATE),
        (Version("u", last_modified=DATE, date="Tue, 14 Nov 2023 22:14:19 GMT"), ""),
        (Version("u", last_modified=DATE), ""),
        (Version("u", etag="1"), ""),
        (Version("u"), ""),
    ],
)
def test_what_names_a_version_for_certain(version, condition):
    assert version.condition == condition


@pytest.mark.parametrize("digest", [True, False], ids=["digest", "no digest"])
def test_killed_after_the_last_byte(replay, downloads, tmp_path, content, digest):
    """All bytes are there but not the name: a digest makes them good, nothing else does."""
    one = downloads()
    url = replay.serve("/a.gz", content)
    part = Part(one.place_of(Download("a.gz", url)))
    part.path.parent.mkdir(parents=True)
    part.begin(Version(url, etag='"1"', total=len(content)))
    part.write(content)
    part.close()
    sha256 = digests_of(part.path).sha256 if digest else ""
    one.bring([Download("a.gz", url, sha256=sha256)], into=tmp_path / "raw")
    assert (tmp_path / "raw" / "a.gz").read_bytes() == content
    assert len(replay.requests) == (0 if digest else 1)


def test_a_part_of_another_mirror_is_not_continued_without_a_digest(replay, downloads, tmp_path, content):
    one = downloads()
    url = replay.serve("/a.gz", content)
    part = Part(one.place_of(Download("a.gz", url)))
    part.path.parent.mkdir(parents=True)
    part.begin(Version("https://mirror.org/a.gz", etag='"1"', total=len(content)))
    part.write(b"other bytes")
    part.close()
    one.bring([Download("a.gz", url)], into=tmp_path / "raw")
    assert (tmp_path / "raw" / "a.gz").read_bytes() == content
    assert replay.requests[0].range == ""
