"""What the stage `augment` cites: the published systems, and the methods that generators and attacks name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from consilience.report.citations import Citation
from consilience.report.sections._rnagan_literature import (
    ADAM,
    BY_DOI,
    RNAGAN,
    TWO_SAMPLE,
    _article,
    _talk,
)

if TYPE_CHECKING:
    from consilience.augment.generators.generator import Generator

RARE_VAE = Citation(
    "Song2026", "misc", "Song", "RareDisease-Transcriptome-VAE", 2026, "Zenodo", "10.5281/zenodo.18431155",
)  # fmt: skip
VAE = _talk(
    "Kingma2014", "Kingma, Diederik P. and Welling, Max", "Auto-encoding variational Bayes",
    "International Conference on Learning Representations", doi="10.48550/arXiv.1312.6114",
)  # fmt: skip
GAN = _talk(
    "Goodfellow2014", "Goodfellow, Ian and Pouget-Abadie, Jean and Mirza, Mehdi and others",
    "Generative adversarial nets", "Advances in Neural Information Processing Systems",
    doi="10.48550/arXiv.1406.2661",
)  # fmt: skip
SMOTE = _article(
    "Chawla2002", "Chawla, Nitesh V. and Bowyer, Kevin W. and Hall, Lawrence O. and Kegelmeyer, W. Philip",
    "SMOTE: synthetic minority over-sampling technique", "Journal of Artificial Intelligence Research",
    "10.1613/jair.953",
)  # fmt: skip
SHRINKAGE = _article(
    "Schafer2005", "Schäfer, Juliane and Strimmer, Korbinian",
    "A shrinkage approach to large-scale covariance matrix estimation and implications for functional "
    "genomics", "Statistical Applications in Genetics and Molecular Biology", "10.2202/1544-6115.1175",
)  # fmt: skip
LEDOIT_WOLF = BY_DOI["10.1016/S0047-259X(03)00096-4"]
SMOOTH_BOOTSTRAP = _article(
    "Silverman1987", "Silverman, Bernard W. and Young, G. Alastair",
    "The bootstrap: to smooth or not to smooth?", "Biometrika", "10.1093/biomet/74.3.469",
)  # fmt: skip
COPULA = _article(
    "Song2000", "Song, Peter Xue-Kun",
    "Multivariate dispersion models generated from Gaussian copula", "Scandinavian Journal of Statistics",
    "10.1111/1467-9469.00191",
)  # fmt: skip
PROBABILISTIC_PCA = _article(
    "Tipping1999", "Tipping, Michael E. and Bishop, Christopher M.",
    "Probabilistic principal component analysis",
    "Journal of the Royal Statistical Society: Series B", "10.1111/1467-9868.00196",
)  # fmt: skip
MIXTURES = _article(
    "Fraley2002", "Fraley, Chris and Raftery, Adrian E.",
    "Model-based clustering, discriminant analysis, and density estimation",
    "Journal of the American Statistical Association", "10.1198/016214502760047131",
)  # fmt: skip
CORRECTED = _article(
    "Nadeau2003", "Nadeau, Claude and Bengio, Yoshua", "Inference for the generalization error",
    "Machine Learning", "10.1023/A:1024068626366",
)  # fmt: skip
SHOKRI = _talk(
    "Shokri2017", "Shokri, Reza and Stronati, Marco and Song, Congzheng and Shmatikov, Vitaly",
    "Membership inference attacks against machine learning models", "IEEE Symposium on Security and Privacy",
    doi="10.1109/SP.2017.41",
)  # fmt: skip
LIKELIHOOD_RATIO = _talk(
    "Carlini2022", "Carlini, Nicholas and Chien, Steve and Nasr, Milad and others",
    "Membership inference attacks from first principles", "IEEE Symposium on Security and Privacy",
    doi="10.1109/SP46214.2022.9833649",
)  # fmt: skip
DP_SGD = _talk(
    "Abadi2016", "Abadi, Martín and Chu, Andy and Goodfellow, Ian and others",
    "Deep learning with differential privacy", "ACM Conference on Computer and Communications Security",
    doi="10.1145/2976749.2978318",
)  # fmt: skip
TSTR = Citation(
    "Esteban2017", "misc", "Esteban, Cristóbal and Hyland, Stephanie L. and Rätsch, Gunnar",
    "Real-valued (medical) time series generation with recurrent conditional GANs", 2017, "arXiv",
    "10.48550/arXiv.1706.02633",
)  # fmt: skip
DENSITY = _talk(
    "Naeem2020", "Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and others",
    "Reliable fidelity and diversity metrics for generative models",
    "International Conference on Machine Learning", doi="10.48550/arXiv.2002.09797",
)  # fmt: skip
MMD = Citation(
    "Gretton2012", "article", "Gretton, Arthur and Borgwardt, Karsten M. and Rasch, Malte J. and others",
    "A kernel two-sample test", 2012, "Journal of Machine Learning Research",
    url="https://jmlr.org/papers/v13/gretton12a.html",
)  # fmt: skip
COMPONENTS = _article(
    "Henderson1953", "Henderson, Charles R.", "Estimation of variance and covariance components",
    "Biometrics",
    "10.2307/3001853",
)  # fmt: skip
OF_GENERATORS = {
    entry.doi: entry
    for entry in (RARE_VAE, RNAGAN, SMOTE, SHRINKAGE, LEDOIT_WOLF, SMOOTH_BOOTSTRAP, COPULA,
                  PROBABILISTIC_PCA, MIXTURES, VAE, GAN, DP_SGD)
}  # fmt: skip
__all__ = [
    "ADAM",
    "COMPONENTS",
    "CORRECTED",
    "DENSITY",
    "DP_SGD",
    "LIKELIHOOD_RATIO",
    "MMD",
    "OF_GENERATORS",
    "RARE_VAE",
    "SHOKRI",
    "TSTR",
    "TWO_SAMPLE",
    "citation_of",
]  # fmt: skip


def citation_of(one: Generator) -> Citation | None:
    """What to cite for a generator: the known entry of its doi, else one made of what the registry says."""
    if not one.doi:
        return None
    if one.doi in OF_GENERATORS:
        return OF_GENERATORS[one.doi]
    if one.doi in BY_DOI:
        return BY_DOI[one.doi]
    years = re.findall(r"\b(?:19|20)\d\d\b", one.reference)
    author = re.split(r"[.,;:(]", one.reference)[0].strip() or one.title
    return Citation(f"generator_{one.key}", "misc", "{" + author + "}", one.reference,
                    int(years[-1]) if years else 2026, "", one.doi)  # fmt: skip
