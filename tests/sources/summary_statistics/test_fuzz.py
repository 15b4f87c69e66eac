"""Changed bytes in any file end in one of our errors or in a result, never in a traceback."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from consilience.foundation.errors import ConsilienceError
from served_associations import EQTL_LAYOUTS, GWAS_LAYOUTS, MINE, N, gtex, named, pairs, prepared, study

WHOLE = study(12)
NAMES = WHOLE.v["rsid"].tolist()


def _parquet() -> bytes:
    buffer = io.BytesIO()
    gtex(WHOLE.v).to_parquet(buffer, index=False)
    return buffer.getvalue()


TWMR = {
    "ENSG00000000001.matrix": b"GENES ENSG00000000001 ENSG00000000002 BETA_GWAS\nrs1 0.1 0 0.01\nrs2 0 -0.2 -0.02\n",
    "ENSG00000000001.ld": b"1 0.1 NA\n0.1 1 NA\n",
}
PANEL = {
    "ref.bed": b"\x6c\x1b\x01" + bytes([0b11100010, 0b10] * 12),
    "ref.bim": "".join(
        f"{r.chr}\t{r.rsid}\t0\t{r.pos}\t{r.a1}\t{r.a2}\n" for r in WHOLE.v.itertuples()
    ).encode(),
    "ref.fam": b"".join(b"f i%d 0 0 0 -9\n" % k for k in range(5)),
}
SSF = dict([GWAS_LAYOUTS["gwas_ssf"](WHOLE.v)])
FOLDERS = {
    "fastgwa": dict([GWAS_LAYOUTS["fastgwa"](WHOLE.v)]),
    "padded": dict([GWAS_LAYOUTS["plink_logistic"](WHOLE.v)]),
    "plink2": dict([GWAS_LAYOUTS["plink2"](WHOLE.v)]),
    "metal": dict([GWAS_LAYOUTS["metal_z"](WHOLE.v)]),
    "comma": dict([EQTL_LAYOUTS["plain_eqtl"](WHOLE.v)]),
    "parquet": {"e.parquet": _parquet()},
    "named ld": SSF | {"L.ld.tsv": named(NAMES, np.eye(12))},
    "pairs": SSF | {"L.ld": pairs(NAMES, np.full((12, 12), 0.1))},
    "twmr": TWMR,
    "panel": SSF | dict([EQTL_LAYOUTS["eqtlgen"](WHOLE.v)]) | PANEL,
}


@pytest.mark.parametrize("key", FOLDERS)
def test_changed_bytes_end_in_our_errors_or_a_result(key: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        files = dict(FOLDERS[key])
        name = list(files)[rng.integers(len(files))]
        content = bytearray(files[name])
        for _ in range(int(rng.integers(1, 3))):
            place = int(rng.integers(len(content)))
            if rng.random() < 0.3:
                del content[place : place + int(rng.integers(1, 20))]
            else:
                content[place] = (
                    int(rng.integers(256))
                    if rng.random() < 0.5
                    else int(rng.choice(list(b"\t\n ,-0.1ANae#")))
                )
            content = content or bytearray(b"x")
        files[name] = bytes(content)
        try:
            prepared(tmp_path, files, columns=MINE, n_gwas=N, n_eqtl=N, eqtl_p=1.0, ld_p=1.0)
            outcomes.add("result")
        except ConsilienceError as error:
            assert "Traceback" not in str(error)  # noqa: PT017
            outcomes.add("refused")
    assert "refused" in outcomes
