"""A token that nobody but its server ever sees: not other hosts, logs, files, errors."""

import io
import logging

import pytest

from consilience.downloads.request import Download
from consilience.downloads.token import Token, read_token
from consilience.foundation.errors import ConfigError, DownloadError
from consilience.study.sections import FetchSection
from replay import Answer, Fault, ReplayServer

CANARY = "canary-7f3a91c2e8b64d05-canary"
DATA = "https://api.gdc.cancer.gov/data/1"


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "secret" / "token.txt"
    path.parent.mkdir()
    path.write_text(CANARY + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def spoken():
    """Everything that reaches the root's handlers, debug lines of libraries included."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def written(folder):
    """Names and bytes of all files below a folder but the token's own."""
    files = [path for path in folder.rglob("*") if path.is_file() and "secret" not in path.parts]
    return b"\n".join(str(path).encode() + path.read_bytes() for path in files)


def seen_by(server):
    return [request.headers.get("x-auth-token") for request in server.requests]


def test_only_authorised_requests_to_its_server_carry_it(replay, downloads, tmp_path, token_file, spoken):
    replay.serve("/gdc/data/1", b"controlled")
    replay.serve("/gdc/status", b"{}")
    one = downloads(
        mirrors={"https://api.gdc.cancer.gov/": replay.url + "/gdc/"}, gdc_token_file=str(token_file)
    )
    one.bring([Download("1", DATA, authorised=True)], into=tmp_path / "raw")
    one.read("https://api.gdc.cancer.gov/status")
    assert seen_by(replay) == [CANARY, None]
    assert one.place_of(Download("1", DATA)).stat().st_mode & 0o077 == 0, (
        "controlled data is not for everybody here"
    )
    assert CANARY.encode() not in written(tmp_path)
    assert CANARY not in spoken.getvalue()


def test_a_redirect_to_another_origin_does_not_take_it_along(replay, downloads, tmp_path, token_file, spoken):
    with ReplayServer() as other:
        other.serve("/elsewhere", b"data")
        replay.fault("/data/1", Fault.redirect(other.url + "/elsewhere"))
        one = downloads(
            mirrors={"https://api.gdc.cancer.gov/": replay.url + "/"}, gdc_token_file=str(token_file)
        )
        one.bring([Download("1", DATA, authorised=True)], into=tmp_path / "raw")
        assert seen_by(replay) == [CANARY]
        assert seen_by(other) == [None]
        assert CANARY not in str(dict(other.requests[0].headers))
    assert CANARY.encode() not in written(tmp_path)


def test_a_redirect_on_its_server_keeps_it(replay, downloads, tmp_path, token_file):
    replay.serve("/data/2", b"data")
    replay.fault("/data/1", Fault.redirect("/data/2"))
    one = downloads(mirrors={"https://api.gdc.cancer.gov/": replay.url + "/"}, gdc_token_file=str(token_file))
    one.bring([Download("1", DATA, authorised=True)], into=tmp_path / "raw")
    assert seen_by(replay) == [CANARY, CANARY]


ECHOES = {
    "title": Answer(f"<html><title>{CANARY}</title>".encode()),
    "status": Answer(CANARY.encode(), 403),
    "body": Answer(
        f'{{"error": "{"x" * 275} {CANARY}"}}'.encode(), 400, {"Content-Type": "application/json"}
    ),
    "redirect": Answer(b"", 302, {"Location": f"ftp://h.org/{'x' * 45}?token={CANARY}"}),
    "password": Answer(b"", 302, {"Location": f"https://user:{CANARY}@h.org/"}),
    "gone": Answer(b"", 500, {"Retry-After": CANARY}),
    "version": Answer(b"ok", 200, {"ETag": f'"{CANARY}"', "Last-Modified": CANARY}),
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_server_that_repeats_it_does_not_get_it_written(
    replay, downloads, tmp_path, token_file, spoken, name
):
    replay.serve("/data/1", lambda _: ECHOES[name], etag=False, last_modified=False)
    one = downloads(
        mirrors={"https://api.gdc.cancer.gov/": replay.url + "/"}, gdc_token_file=str(token_file), attempts=1
    )
    wanted = Download("1", DATA, authorised=True)
    if name == "version":
        one.bring([wanted], into=tmp_path / "raw")
    else:
        with pytest.raises(DownloadError) as caught:
            one.bring([wanted], into=tmp_path / "raw")
        assert CANARY not in str(caught.value)
        assert CANARY[:12] not in str(caught.value)
        assert caught.value.__cause__ is None
    assert CANARY not in spoken.getvalue()
    assert CANARY.encode() not in written(tmp_path)


def test_log_lines_of_any_library_are_cleaned(downloads, token_file, spoken):
    downloads(gdc_token_file=str(token_file))
    logging.getLogger("some.library").warning("header %s", {"X-Auth-Token": CANARY})
    logging.getLogger("consilience").warning(f"again {CANARY}")
    logging.getLogger("consilience").warning("%d of %s", 1, "others")
    assert spoken.getvalue().splitlines() == [
        "header {'X-Auth-Token': '<token>'}",
        "again <token>",
        "1 of others",
    ]


def test_refused_data_say_what_to_do(replay, downloads, tmp_path, token_file, monkeypatch):
    replay.serve("/data/1", lambda _: Answer(b"", 403))
    mirrors = {"https://api.gdc.cancer.gov/": replay.url + "/"}
    wanted = [Download("1", DATA, authorised=True)]
    with pytest.raises(DownloadError, match=r"controlled data, and it does not accept the token.*30 days"):
        downloads(mirrors=mirrors, gdc_token_file=str(token_file)).bring(wanted, into=tmp_path / "raw")
    monkeypatch.delenv("GDC_TOKEN", raising=False)
    with pytest.raises(DownloadError, match=r"controlled data\. To mend: with access"):
        downloads(mirrors=mirrors).bring(wanted, into=tmp_path / "raw")
    assert seen_by(replay) == [CANARY, None]


def test_other_servers_never_see_it():
    token = Token(CANARY)
    first = "https://api.gdc.cancer.gov/data"
    assert token.headers_for(first, first=first) == {"X-Auth-Token": CANARY}
    for url in ("http://api.gdc.cancer.gov/data", "https://api.gdc.cancer.gov:8443/", "https://api.gdc.cancer.gov.evil.org/",
                "https://evil.org/", "http://127.0.0.1:1/"):  # fmt: skip
        assert token.headers_for(url, first=first) == {}
    assert token.headers_for("https://evil.org/", first="https://evil.org/") == {}
    assert CANARY not in repr(token)
    assert CANARY not in f"{token}"


def test_it_is_read_from_a_private_file_or_the_environment(tmp_path, token_file, monkeypatch):
    monkeypatch.setenv("GDC_TOKEN", "from-the-environment")
    assert read_token(FetchSection()).scrub("from-the-environment") == "<token>"
    assert (
        read_token(FetchSection(gdc_token_file="secret/token.txt"), folder=tmp_path).scrub(CANARY)
        == "<token>"
    )
    monkeypatch.delenv("GDC_TOKEN")
    assert not read_token(FetchSection())


def test_files_that_are_no_private_token_are_refused(tmp_path, token_file):
    def said(match):
        return pytest.raises(ConfigError, match=match)

    settings = FetchSection(gdc_token_file=str(token_file))
    for mode in (0o640, 0o604, 0o666):
        token_file.chmod(mode)
        with said(r"others can read the token file.*mode 0600"):
            read_token(settings)
    token_file.chmod(0o600)
    for text in ("two words", "two\nlines", "ünicode", "x" * 20_000):
        token_file.write_text(text)
        with said("not a token|longer than a token") as caught:
            read_token(settings)
        assert text[:5] not in str(caught.value)
    link = tmp_path / "link"
    link.symlink_to(token_file)
    for path, match in (
        (tmp_path, "not a regular file|cannot be read"),
        (link, "cannot be read"),
        (tmp_path / "no", "cannot be read"),
    ):
        with said(match):
            read_token(FetchSection(gdc_token_file=str(path)))
