"""Does the expressed sex agree with the annotated one? A cheap finder of swapped samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.gene_table import SEX_GENES
from consilience.sources.bulk.stored import Matrix, blocks

if TYPE_CHECKING:
    import numpy.typing as npt

X_GENE = SEX_GENES["female"][0]
Y_GENES = SEX_GENES["male"]
CLEAR_LOG2_RATIO = 2.0
MIN_Y_GENES = 2
_WORDS = {"female": "female", "f": "female", "woman": "female", "male": "male", "m": "male", "man": "male"}


@dataclass(frozen=True, slots=True)
class SexCheck:
    """`log2_ratio` of Y genes to XIST; `expressed` male, female or unclear; `mismatch`; each (samples,)."""

    log2_ratio: npt.NDArray[np.float64]
    expressed: tuple[str, ...]
    mismatch: npt.NDArray[np.bool_]


def check_sex(
    *, counts: Matrix, gene_index: Mapping[str, int], annotated: Sequence[str] | None
) -> SexCheck | None:
    """Compare XIST with the sum of the Y genes, in counts per million; None where the genes are not measured.

    `counts` (samples, genes). A sample is called only when one side is at least four times the other (after
    adding 1 CPM to both): tumours that lost Y, or men with XIST, stay "unclear" and are no mismatch. Words
    other than male/female (m/f, man/woman) are no annotation.
    """
    y_genes = [gene_index[gene] for gene in Y_GENES if gene in gene_index]
    if X_GENE not in gene_index or len(y_genes) < MIN_Y_GENES:
        return None
    ratio = np.empty(counts.shape[0])
    for rows in blocks(counts.shape[0]):
        block = counts[rows]
        per_million = 1e6 / np.maximum(block.sum(axis=1), 1)
        x = block[:, gene_index[X_GENE]] * per_million
        y = block[:, y_genes].sum(axis=1) * per_million
        ratio[rows] = np.log2((y + 1) / (x + 1))
    return _compared(ratio, annotated)


def check_sex_of_logs(
    *, logs: npt.NDArray[np.floating], gene_index: Mapping[str, int], annotated: Sequence[str] | None
) -> SexCheck | None:
    """`check_sex` for log2 values (samples, genes): the mean of the Y genes against XIST.

    Each side is measured from the middle between its lowest and highest sample, because the background of
    an array differs between probes; where a side hardly varies, as in a cohort of one sex, nobody is called.
    """
    y_genes = [gene_index[gene] for gene in Y_GENES if gene in gene_index]
    if X_GENE not in gene_index or len(y_genes) < MIN_Y_GENES or not logs.shape[0]:
        return None
    x = logs[:, gene_index[X_GENE]].astype(np.float64)
    y = logs[:, y_genes].mean(axis=1, dtype=np.float64)
    ratio = (y - (y.min() + y.max()) / 2) - (x - (x.min() + x.max()) / 2)
    if min(np.ptp(x), np.ptp(y)) < CLEAR_LOG2_RATIO:
        ratio = np.zeros(logs.shape[0])
    return _compared(ratio, annotated)


def _compared(ratio: npt.NDArray[np.float64], annotated: Sequence[str] | None) -> SexCheck:
    expressed = tuple(
        "male" if one > CLEAR_LOG2_RATIO else "female" if one < -CLEAR_LOG2_RATIO else "unclear"
        for one in ratio
    )
    known = [_WORDS.get(word.strip().casefold(), "") for word in annotated or [""] * len(expressed)]
    mismatch = [
        bool(word) and found != "unclear" and word != found
        for word, found in zip(known, expressed, strict=True)
    ]
    return SexCheck(ratio, expressed, np.array(mismatch, dtype=bool))
