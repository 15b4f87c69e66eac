"""What the stage `rnagan` cites: the published system, and the methods that its modules name."""

from __future__ import annotations

from consilience.report.citations import Citation


def _article(key: str, author: str, title: str, venue: str, doi: str) -> Citation:
    """A journal article; the year is that of the key."""
    return Citation(key, "article", author, title, int(key[-4:]), venue, doi)


def _talk(key: str, author: str, title: str, venue: str, *, doi: str = "", url: str = "") -> Citation:
    """A paper of a conference, or a chapter."""
    return Citation(key, "inproceedings", author, title, int(key[-4:]), venue, doi, url)


RNAGAN = _article(
    "Hou2026", "Hou, Zhaozheng and Lee, V. H.-F. and Kwong, D. L.-W. and Guan, X. and Liu, Z. and Dai, Wei",
    "RNAGAN: Train One and Get Four, Multipurpose Human RNA-Seq Analysis Tool with Enhanced "
    "Interpretability and "
    "Small Data Size Capability", "bioRxiv", "10.64898/2026.03.17.712527",
)  # fmt: skip
CLOSED_FORM = _talk(
    "Bertinetto2019", "Bertinetto, Luca and Henriques, João F. and Torr, Philip H. S. and Vedaldi, Andrea",
    "Meta-learning with differentiable closed-form solvers",
    "International Conference on Learning Representations", doi="10.48550/arXiv.1805.08136",
)  # fmt: skip
CONVEX = _talk(
    "Lee2019", "Lee, Kwonjoon and Maji, Subhransu and Ravichandran, Avinash and Soatto, Stefano",
    "Meta-learning with differentiable convex optimization",
    "IEEE/CVF Conference on Computer Vision and Pattern Recognition", doi="10.48550/arXiv.1904.03758",
)  # fmt: skip
ADAM = _talk(
    "Kingma2015", "Kingma, Diederik P. and Ba, Jimmy", "Adam: a method for stochastic optimization",
    "International Conference on Learning Representations", doi="10.48550/arXiv.1412.6980",
)  # fmt: skip
TORCH = _talk(
    "Paszke2019", "Paszke, Adam and Gross, Sam and Massa, Francisco and others",
    "PyTorch: an imperative style, high-performance deep learning library",
    "Advances in Neural Information Processing Systems", doi="10.48550/arXiv.1912.01703",
)  # fmt: skip
PSEUDOBULK = _article(
    "Squair2021", "Squair, Jordan W. and Gautier, Matthieu and Kathe, Claudia and others",
    "Confronting false discoveries in single-cell differential expression", "Nature Communications",
    "10.1038/s41467-021-25960-2",
)  # fmt: skip
PLATT = _talk(
    "Platt1999", "Platt, John C.",
    "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods",
    "Advances in Large Margin Classifiers, MIT Press",
    url="https://citeseerx.ist.psu.edu/document?doi=42e5ed832d4310ce4378c44d05570439df28a393",
)  # fmt: skip
BRIER = _article(
    "Brier1950", "Brier, Glenn W.", "Verification of forecasts expressed in terms of probability",
    "Monthly Weather Review", "10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
)  # fmt: skip
CALIBRATION_ERROR = _talk(
    "Naeini2015", "Naeini, Mahdi Pakdaman and Cooper, Gregory F. and Hauskrecht, Milos",
    "Obtaining well calibrated probabilities using Bayesian binning", "AAAI Conference on Artificial "
                                                                      "Intelligence",
    doi="10.1609/aaai.v29i1.9602",
)  # fmt: skip
JACKKNIFE = _article(
    "Barber2021",
    "Barber, Rina Foygel and Candès, Emmanuel J. and Ramdas, Aaditya and Tibshirani, Ryan J.",
    "Predictive inference with the jackknife+", "The Annals of Statistics", "10.1214/20-AOS1965",
)  # fmt: skip
FALSE_DISCOVERIES = _article(
    "Benjamini1995", "Benjamini, Yoav and Hochberg, Yosef",
    "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
    "Journal of the Royal Statistical Society: Series B", "10.1111/j.2517-6161.1995.tb02031.x",
)  # fmt: skip
POOLED_NULL = _article(
    "Tusher2001", "Tusher, Virginia Goss and Tibshirani, Robert and Chu, Gilbert",
    "Significance analysis of microarrays applied to the ionizing radiation response",
    "Proceedings of the National Academy of Sciences", "10.1073/pnas.091062498",
)  # fmt: skip
EXCHANGEABLE = _article(
    "Gasparin2025", "Gasparin, Matteo and Wang, Ruodu and Ramdas, Aaditya", "Combining exchangeable p-values",
    "Proceedings of the National Academy of Sciences", "10.1073/pnas.2410849122",
)  # fmt: skip
STABILITY = Citation(
    "Nogueira2018", "article", "Nogueira, Sarah and Sechidis, Konstantinos and Brown, Gavin",
    "On the stability of feature selection algorithms", 2018, "Journal of Machine Learning Research",
    url="https://jmlr.org/papers/v18/17-514.html",
)  # fmt: skip
ENRICHMENT = _article(
    "Subramanian2005", "Subramanian, Aravind and Tamayo, Pablo and Mootha, Vamsi K. and others",
    "Gene set enrichment analysis: a knowledge-based approach for interpreting genome-wide expression "
    "profiles",
    "Proceedings of the National Academy of Sciences", "10.1073/pnas.0506580102",
)  # fmt: skip
GSEAPY = _article(
    "Fang2023", "Fang, Zhuoqing and Liu, Xinyuan and Peltz, Gary",
    "GSEApy: a comprehensive package for performing gene set enrichment analysis in Python", "Bioinformatics",
    "10.1093/bioinformatics/btac757",
)  # fmt: skip
ROTATION = _article(
    "Langsrud2005",
    "Langsrud, Øyvind",
    "Rotation tests",
    "Statistics and Computing",
    "10.1007/s11222-005-4789-5",
)
TWO_SAMPLE = _talk(
    "LopezPaz2017", "Lopez-Paz, David and Oquab, Maxime", "Revisiting classifier two-sample tests",
    "International Conference on Learning Representations", doi="10.48550/arXiv.1610.06545",
)  # fmt: skip
MEMBERSHIP = _article(
    "Homer2008", "Homer, Nils and Szelinger, Szabolcs and Redman, Margot and others",
    "Resolving individuals contributing trace amounts of DNA to highly complex mixtures using high-density "
    "SNP "
    "genotyping microarrays", "PLoS Genetics", "10.1371/journal.pgen.1000167",
)  # fmt: skip
LISI = _article(
    "Korsunsky2019", "Korsunsky, Ilya and Millard, Nghia and Fan, Jean and others",
    "Fast, sensitive and accurate integration of single-cell data with Harmony", "Nature Methods",
    "10.1038/s41592-019-0619-0",
)  # fmt: skip

OF_REGISTRIES: tuple[Citation, ...] = (
    _article("Veer2002", "van 't Veer, Laura J. and Dai, Hongyue and van de Vijver, Marc J. and others",
             "Gene expression profiling predicts clinical outcome of breast cancer", "Nature",
             "10.1038/415530a"),
    _article("Zou2005", "Zou, Hui and Hastie, Trevor", "Regularization and variable selection via the "
                                                       "elastic net",
             "Journal of the Royal Statistical Society: Series B", "10.1111/j.1467-9868.2005.00503.x"),
    _article("Cortes1995", "Cortes, Corinna and Vapnik, Vladimir", "Support-vector networks",
             "Machine Learning",
             "10.1007/BF00994018"),
    _article("Hastie2004", "Hastie, Trevor and Tibshirani, Robert",
             "Efficient quadratic regularization for expression arrays", "Biostatistics",
             "10.1093/biostatistics/kxh010"),
    _article("Levner2005", "Levner, Ilya",
             "Feature selection and nearest centroid classification for protein mass spectrometry",
             "BMC Bioinformatics", "10.1186/1471-2105-6-68"),
    _article("Cover1967", "Cover, Thomas M. and Hart, Peter E.", "Nearest neighbor pattern classification",
             "IEEE Transactions on Information Theory", "10.1109/TIT.1967.1053964"),
    _article("Breiman2001", "Breiman, Leo", "Random forests", "Machine Learning", "10.1023/A:1010933404324"),
    _article("Ledoit2004", "Ledoit, Olivier and Wolf, Michael",
             "A well-conditioned estimator for large-dimensional covariance matrices",
             "Journal of Multivariate Analysis", "10.1016/S0047-259X(03)00096-4"),
    _article("Tibshirani2002",
             "Tibshirani, Robert and Hastie, Trevor and Narasimhan, Balasubramanian and Chu, Gilbert",
             "Diagnosis of multiple cancer types by shrunken centroids of gene expression",
             "Proceedings of the National Academy of Sciences", "10.1073/pnas.082099299"),
    _talk("Sundararajan2017", "Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi",
          "Axiomatic attribution for deep networks", "International Conference on Machine Learning",
          doi="10.48550/arXiv.1703.01365"),
    _talk("Zeiler2014", "Zeiler, Matthew D. and Fergus, Rob",
          "Visualizing and understanding convolutional networks", "European Conference on Computer Vision",
          doi="10.1007/978-3-319-10590-1_53"),
    _talk("Simonyan2014", "Simonyan, Karen and Vedaldi, Andrea and Zisserman, Andrew",
          "Deep inside convolutional networks: visualising image classification models and saliency maps",
          "International Conference on Learning Representations, workshop", doi="10.48550/arXiv.1312.6034"),
    RNAGAN,
    _article("Wilcoxon1945", "Wilcoxon, Frank", "Individual comparisons by ranking methods",
             "Biometrics Bulletin",
             "10.2307/3001968"),
    _article("Smyth2004", "Smyth, Gordon K.",
             "Linear models and empirical Bayes methods for assessing differential expression in microarray "
             "experiments", "Statistical Applications in Genetics and Molecular Biology",
             "10.2202/1544-6115.1027"),
    _article("Love2014", "Love, Michael I. and Huber, Wolfgang and Anders, Simon",
             "Moderated estimation of fold change and dispersion for RNA-seq data with DESeq2",
             "Genome Biology",
             "10.1186/s13059-014-0550-8"),
)  # fmt: skip
"""One for every doi that a simple classifier, an attribution or a differential method names."""
BY_DOI = {entry.doi: entry for entry in OF_REGISTRIES}
