"""One number per donor and gene: the mean log-normalised expression of its cells of a type.

The effect is of expression on disease, as in the other estimates: least squares of disease on a donor's mean
expression and the donor's covariates. Its t is that of expression on disease (the partial correlation is
the same), where errors are those of expression, which may be normal; so genes' variances can be drawn
together as limma does.

Cells' effects are smaller than donors': a cell's expression is its donor's level and noise, and disease
knows of the level alone. θ of cells is θ of donors times the share of variance that lies between donors
(`donor_scale` undoes this). Tests of both ask the same question; compare genes by z.

References
----------
Smyth GK. Stat Appl Genet Mol Biol 3:3, 2004. Crowell HL, et al. Nat Commun 11:6077, 2020 (pseudobulks).
Frisch R, Waugh FV. Econometrica 1:387, 1933. Spearman C. Am J Psychol 15:72, 1904 (attenuation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from consilience.causal.dml.few_donors import DonorTest
from consilience.causal.dml.inference import tested
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]

SINGULAR = 1e-9
FLAGS = {
    "covariates_exceed_donors": "donors are too few for this many covariates: no p-value",
    "aliased": "covariates determine disease: its effect cannot be told from theirs",
    "no_variation": "donors' means do not differ once covariates are out",
}


def donor_means(
    expression: sparse.csr_matrix | npt.NDArray[Any], donor: npt.NDArray[np.intp], n_donors: int
) -> Floats:  # fmt: skip
    """Mean expression (m, G) of the cells of each donor; `expression` (n, G), `donor` (n,)."""
    from scipy import sparse

    cells = np.bincount(donor, minlength=n_donors)
    if (cells == 0).any():
        raise DataError("donors without cells have no mean", value=int((cells == 0).sum()))
    average = sparse.csr_matrix(
        (1.0 / cells[donor], (donor, np.arange(donor.size))), shape=(n_donors, donor.size)
    )
    made = average @ expression
    return np.asarray(made.toarray() if sparse.issparse(made) else made, dtype=np.float64)


def pseudobulk(
    *, means: Floats, disease: Floats, covariates: Floats | None = None,
    method: Literal["t", "moderated_t"] = "moderated_t",
) -> tuple[Floats, DonorTest]:  # fmt: skip
    """Effects (G,) of donors' `means` (m, G) on `disease` (m,) given `covariates` (m, p), and their tests."""
    from consilience.learning.differential.moderated_t import fit_prior, shrink

    m, n_genes = means.shape
    design = np.ones((m, 1)) if covariates is None else np.column_stack([np.ones(m), covariates])
    basis = _basis(design)
    disease_left, left = disease - basis @ (basis.T @ disease), means - basis @ (basis.T @ means)
    length, squares = float(disease_left @ disease_left), (left**2).sum(0)
    freedom = m - basis.shape[1] - 1
    varies = squares > SINGULAR * np.maximum((means**2).sum(0), 1e-300)
    theta, se, df = (np.full(n_genes, np.nan) for _ in range(3))
    trouble = np.where(varies, "", "no_variation").astype(np.dtype("U32"))
    if freedom < 1 or length < SINGULAR * m:
        trouble[varies | (freedom < 1)] = "covariates_exceed_donors" if freedom < 1 else "aliased"
        return theta, tested(theta, se, df, trouble=trouble)
    along = disease_left @ left
    variance = np.maximum(squares - along**2 / length, 0.0) / freedom
    total = float(freedom)
    if method == "moderated_t":
        prior = fit_prior(variance[varies], freedom=freedom)
        variance, total = shrink(variance, freedom=freedom, prior=prior, n_genes=int(varies.sum()))
    theta[varies] = (along / np.where(varies, squares, 1.0))[varies]
    se[varies] = (np.sqrt(variance * length) / np.where(varies, squares, 1.0))[varies]
    df[varies] = total
    return theta, tested(theta, se, df, trouble=trouble)


def donor_scale(*, theta: Floats, between: Floats, within: Floats) -> Floats:
    """Effects of cells (G,) on the scale of donors: divided by the share of variance between donors.

    NaN where donors do not differ beyond cells' noise.
    """
    known = between > 0
    share = np.divide(between, between + within, out=np.ones_like(theta), where=known)
    return np.where(known, theta / share, np.nan)


def _basis(design: Floats) -> Floats:
    """Orthonormal columns with the span of `design` (m, q); repeated columns count once."""
    scaled = design / np.maximum(np.sqrt((design**2).sum(0)), 1e-300)
    left, values, _ = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(left[:, values > SINGULAR * values[0]])
