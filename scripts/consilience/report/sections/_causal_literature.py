"""What the stage `causal` cites: its own methods, and those that its registries name."""

from __future__ import annotations

import re
from typing import Protocol

from consilience.report.citations import Citation
from consilience.report.sections._rnagan_literature import (
    ENRICHMENT,
    FALSE_DISCOVERIES,
    GSEAPY,
    PSEUDOBULK,
    TORCH,
    _article,
)

TWMR = _article(
    "Porcu2019", "Porcu, Eleonora and Rüeger, Sina and Lepik, Kaido and others",
    "Mendelian randomization integrating GWAS and eQTL data reveals genetic determinants of complex and "
    "clinical "
    "traits", "Nature Communications", "10.1038/s41467-019-10936-0",
)  # fmt: skip
FULLER = _article(
    "Fuller1977", "Fuller, Wayne A.", "Some properties of a modification of the limited information "
                                      "estimator",
    "Econometrica", "10.2307/1912683",
)  # fmt: skip
STEIGER = _article(
    "Hemani2017", "Hemani, Gibran and Tilling, Kate and Davey Smith, George",
    "Orienting the causal relationship between imprecisely measured traits using GWAS summary data",
    "PLoS Genetics",
    "10.1371/journal.pgen.1007081",
)  # fmt: skip
CONDITIONAL_F = _article(
    "Sanderson2016", "Sanderson, Eleanor and Windmeijer, Frank",
    "A weak instrument F-test in linear IV models with multiple endogenous variables",
    "Journal of Econometrics",
    "10.1016/j.jeconom.2015.06.004",
)  # fmt: skip
PLEIOTROPY = _article(
    "Bowden2017", "Bowden, Jack and Del Greco M, Fabiola and Minelli, Cosetta and others",
    "A framework for the investigation of pleiotropy in two-sample summary data Mendelian randomization",
    "Statistics in Medicine", "10.1002/sim.7221",
)  # fmt: skip
DML = _article(
    "Chernozhukov2018", "Chernozhukov, Victor and Chetverikov, Denis and Demirer, Mert and others",
    "Double/debiased machine learning for treatment and structural parameters", "The Econometrics Journal",
    "10.1111/ectj.12097",
)  # fmt: skip
CLUSTERED_DML = _article(
    "Chiang2022", "Chiang, Harold D. and Kato, Kengo and Ma, Yukun and Sasaki, Yuya",
    "Multiway cluster robust double/debiased machine learning", "Journal of Business & Economic Statistics",
    "10.1080/07350015.2021.1895815",
)  # fmt: skip
FEW_CLUSTERS = _article(
    "Imbens2016", "Imbens, Guido W. and Kolesár, Michal",
    "Robust standard errors in small samples: some practical advice", "Review of Economics and Statistics",
    "10.1162/REST_a_00552",
)  # fmt: skip
WILD_BOOTSTRAP = _article(
    "Cameron2008", "Cameron, A. Colin and Gelbach, Jonah B. and Miller, Douglas L.",
    "Bootstrap-based improvements for inference with clustered errors", "Review of Economics and Statistics",
    "10.1162/rest.90.3.414",
)  # fmt: skip
SENSITIVITY = _article(
    "Cinelli2020", "Cinelli, Carlos and Hazlett, Chad",
    "Making sense of sensitivity: extending omitted variable bias",
    "Journal of the Royal Statistical Society: Series B", "10.1111/rssb.12348",
)  # fmt: skip
COUNT_NETWORK = _article(
    "Lopez2018", "Lopez, Romain and Regier, Jeffrey and Cole, Michael B. and Jordan, Michael I. and Yosef, "
                 "Nir",
    "Deep generative modeling for single-cell transcriptomics", "Nature Methods", "10.1038/s41592-018-0229-2",
)  # fmt: skip
ATTENUATION = _article(
    "Spearman1904", "Spearman, Charles", "The proof and measurement of association between two things",
    "The American Journal of Psychology", "10.2307/1412159",
)  # fmt: skip
DEMING = _article(
    "York2004", "York, Derek and Evensen, Norman M. and Martínez, Margarita López and De Basabe Delgado, "
                "Jonás",
    "Unified equations for the slope, intercept, and standard errors of the best straight line",
    "American Journal of Physics", "10.1119/1.1632486",
)  # fmt: skip
ANY_DEPENDENCE = _article(
    "Benjamini2001", "Benjamini, Yoav and Yekutieli, Daniel",
    "The control of the false discovery rate in multiple testing under dependency",
    "The Annals of Statistics",
    "10.1214/aos/1013699998",
)  # fmt: skip
JACKKNIFE_VARIANCE = _article(
    "Efron1981", "Efron, Bradley and Stein, Charles", "The jackknife estimate of variance",
    "The Annals of Statistics",
    "10.1214/aos/1176345462",
)  # fmt: skip
OF_REGISTRIES: tuple[Citation, ...] = (
    TWMR, FULLER, PLEIOTROPY,
    _article("Burgess2013", "Burgess, Stephen and Butterworth, Adam and Thompson, Simon G.",
             "Mendelian randomization analysis with multiple genetic variants using summarized data",
             "Genetic Epidemiology", "10.1002/gepi.21758"),
    _article("Burgess2016", "Burgess, Stephen and Dudbridge, Frank and Thompson, Simon G.",
             "Combining information on multiple instrumental variables in Mendelian randomization: "
             "comparison of allele "
             "score and summarized data methods", "Statistics in Medicine", "10.1002/sim.6835"),
    _article("BurgessSmall2017", "Burgess, Stephen and Small, Dylan S. and Thompson, Simon G.",
             "A review of instrumental variable estimators for Mendelian randomization",
             "Statistical Methods in Medical Research", "10.1177/0962280215597579"),
    _article("Burgess2017", "Burgess, Stephen and Thompson, Simon G.",
             "Interpreting findings from Mendelian randomization using the MR-Egger method",
             "European Journal of Epidemiology", "10.1007/s10654-017-0255-x"),
    _article("Bowden2015", "Bowden, Jack and Davey Smith, George and Burgess, Stephen",
             "Mendelian randomization with invalid instruments: effect estimation and bias detection "
             "through Egger "
             "regression", "International Journal of Epidemiology", "10.1093/ije/dyv080"),
    _article("Bowden2016", "Bowden, Jack and Davey Smith, George and Haycock, Philip C. and Burgess, Stephen",
             "Consistent estimation in Mendelian randomization with some invalid instruments using a "
             "weighted median "
             "estimator", "Genetic Epidemiology", "10.1002/gepi.21965"),
    _article("Hartwig2017", "Hartwig, Fernando Pires and Davey Smith, George and Bowden, Jack",
             "Robust inference in summary data Mendelian randomization via the zero modal pleiotropy "
             "assumption",
             "International Journal of Epidemiology", "10.1093/ije/dyx102"),
    _article("Ye2021", "Ye, Ting and Shao, Jun and Kang, Hyunseung",
             "Debiased inverse-variance weighted estimator in two-sample summary-data Mendelian "
             "randomization",
             "The Annals of Statistics", "10.1214/20-AOS2027"),
    _article("Zhao2020", "Zhao, Qingyuan and Wang, Jingshu and Hemani, Gibran and Bowden, Jack and Small, "
                         "Dylan S.",
             "Statistical inference in two-sample summary-data Mendelian randomization using robust "
             "adjusted profile "
             "score", "The Annals of Statistics", "10.1214/19-AOS1866"),
    _article("Hoerl1970", "Hoerl, Arthur E. and Kennard, Robert W.",
             "Ridge regression: biased estimation for nonorthogonal problems", "Technometrics",
             "10.1080/00401706.1970.10488634"),
    _article("Tibshirani1996", "Tibshirani, Robert", "Regression shrinkage and selection via the lasso",
             "Journal of the Royal Statistical Society: Series B", "10.1111/j.2517-6161.1996.tb02080.x"),
    _article("Friedman2001", "Friedman, Jerome H.", "Greedy function approximation: a gradient boosting "
                                                    "machine",
             "The Annals of Statistics", "10.1214/aos/1013203451"),
    DML,
)  # fmt: skip
"""One for every doi that an estimator of TWMR or of one-gene Mendelian randomisation, or a learner, names."""
BY_DOI = {entry.doi.casefold(): entry for entry in OF_REGISTRIES}
__all__ = ["ENRICHMENT", "FALSE_DISCOVERIES", "GSEAPY", "PSEUDOBULK", "TORCH", "citation_of"]


class Registered(Protocol):
    """What every registry of methods tells of a method."""

    @property
    def key(self) -> str:
        """Its name in settings."""
        ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    @property
    def reference(self) -> str:
        """Authors, journal and year in one line."""
        ...

    @property
    def doi(self) -> str:
        """Where to find it."""
        ...


def citation_of(one: Registered) -> Citation | None:
    """What to cite: the known entry of its doi, else one made of the registry; None without a doi."""
    if not one.doi:
        return None
    known = BY_DOI.get(one.doi.casefold())
    if known is not None:
        return known
    years = re.findall(r"\b(?:19|20)\d\d\b", one.reference)
    author = re.split(r"[.,;:(]", one.reference)[0].strip() or one.title
    return Citation(f"causal_{one.key}", "misc", "{" + author + "}", one.reference,
                    int(years[-1]) if years else 2026, "", one.doi)  # fmt: skip
