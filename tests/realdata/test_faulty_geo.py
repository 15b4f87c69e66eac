"""GEO's own GSE55235 from a server that shows each fault in turn: the plan's files come whole, or none is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilience.downloads.downloads import Downloads
from consilience.foundation.errors import DownloadError
from consilience.sources.geo.plan import plan_series
from consilience.study.cohorts import Cohort
from consilience.study.sections import FetchSection
from faults import Fault
from replay import ReplayServer
from sites import geo_folder, lay_out_platform, lay_out_series, mirrors

pytestmark = pytest.mark.real_data
NAME = "GSE55235_series_matrix.txt.gz"
COHORT = Cohort("ra", "bulk", "geo", "GSE55235")
PATH = f"/geo/series/GSE55nnn/GSE55235/matrix/{NAME}"
FAULTS = {
    "page": Fault.page_with_200(),
    "first byte": Fault.cut_at(1),
    "cut": Fault.cut_at(700_000),
    "cut without length": Fault.cut_at(700_001, length=False),
    "last byte": Fault.cut_at(1_374_132),
    "wrong content": Fault.wrong_content(),
    "stall": Fault.stall(1.0, after=300_000),
    "429": Fault.status(429, retry_after=0),
    "503": Fault.status(503),
    "no range": Fault.no_range(),
    "dropped": Fault.drop(),
    "changed": Fault.changed_between_parts(),
}
NEVER_SEEN = {"wrong content"}
"""GEO gives no digests, so a file of the same form with other bytes cannot be told from the right one."""


@pytest.fixture
def settings(kit: Path, tmp_path: Path, replay: ReplayServer) -> FetchSection:
    served, root = kit / "geo_as_served", tmp_path / "site"
    lay_out_series(root, "GSE55235", matrices={NAME: served / NAME}, supplements={})
    lay_out_platform(root, "GPL96", served / "GPL96_probe_to_symbol.tsv.gz")
    assert (geo_folder(root, "GSE55235") / "matrix" / NAME).is_file()
    replay.serve_folder("/geo", root)
    return FetchSection(cache=str(tmp_path / "cache"), mirrors=mirrors(replay), stall_seconds=0.4, attempts=4)


def bring(settings: FetchSection, into: Path) -> None:
    downloads = Downloads(settings)
    downloads.bring(plan_series(cohort=COHORT, downloads=downloads).downloads, into=into)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in NEVER_SEEN])
def test_after_one_fault_the_same_bytes_arrive(
    name: str, settings: FetchSection, replay: ReplayServer, kit: Path, tmp_path: Path
) -> None:
    if name in {"no range", "changed"}:  # these show when a part is to be continued
        replay.fault(PATH, Fault.cut_at(500_000))
    replay.fault(PATH, FAULTS[name])
    bring(settings, tmp_path / "raw")
    assert (tmp_path / "raw" / NAME).read_bytes() == (kit / "geo_as_served" / NAME).read_bytes()
    assert not list((tmp_path / "cache").rglob("*.part"))


@pytest.mark.parametrize("name", ["page", "cut", "503", "stall"])
def test_while_the_fault_lasts_nothing_is_kept_and_the_address_is_named(
    name: str, settings: FetchSection, replay: ReplayServer, tmp_path: Path
) -> None:
    fault = Fault.cut_at(0) if name == "cut" else Fault.stall(1.0) if name == "stall" else FAULTS[name]
    replay.fault(PATH, fault, times=float("inf"))
    with pytest.raises(
        DownloadError, match=r"https://ftp\.ncbi\.nlm\.nih\.gov/geo/series.*GSE55235_series_matrix"
    ):
        bring(settings, tmp_path / "raw")
    assert not [path for path in (tmp_path / "cache").rglob(NAME) if path.is_file()]
    assert not (tmp_path / "raw" / NAME).exists()
    replay.mend()
    bring(settings, tmp_path / "raw")
    assert (tmp_path / "raw" / NAME).is_file()
