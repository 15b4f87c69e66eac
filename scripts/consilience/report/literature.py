"""What the first stages cite. A later stage keeps its citations beside its own method."""

from __future__ import annotations

from consilience.report.citations import Citation

SNAKEMAKE = Citation(
    "Molder2021",
    "article",
    "Mölder, Felix and Jablonski, Kim Philipp and Letcher, Brice and Hall, Michael B and others",
    "Sustainable data analysis with Snakemake",
    2021,
    "F1000Research",
    "10.12688/f1000research.29032.2",
)
SCANPY = Citation(
    "Wolf2018",
    "article",
    "Wolf, F. Alexander and Angerer, Philipp and Theis, Fabian J.",
    "SCANPY: large-scale single-cell gene expression data analysis",
    2018,
    "Genome Biology",
    "10.1186/s13059-017-1382-0",
)
ANNDATA = Citation(
    "Virshup2024",
    "article",
    "Virshup, Isaac and Rybakov, Sergei and Theis, Fabian J. and Angerer, Philipp and Wolf, F. Alexander",
    "anndata: Access and store annotated data matrices",
    2024,
    "Journal of Open Source Software",
    "10.21105/joss.04371",
)
SIZE_FACTORS = Citation(
    "Anders2010",
    "article",
    "Anders, Simon and Huber, Wolfgang",
    "Differential expression analysis for sequence count data",
    2010,
    "Genome Biology",
    "10.1186/gb-2010-11-10-r106",
)
DESEQ2 = Citation(
    "Love2014",
    "article",
    "Love, Michael I. and Huber, Wolfgang and Anders, Simon",
    "Moderated estimation of fold change and dispersion for RNA-seq data with DESeq2",
    2014,
    "Genome Biology",
    "10.1186/s13059-014-0550-8",
)
ROBPCA = Citation(
    "Hubert2005",
    "article",
    "Hubert, Mia and Rousseeuw, Peter J. and Vanden Branden, Karlien",
    "ROBPCA: a new approach to robust principal component analysis",
    2005,
    "Technometrics",
    "10.1198/004017004000000563",
)
QUANTILES = Citation(
    "Bolstad2003",
    "article",
    "Bolstad, Benjamin M. and Irizarry, Rafael A. and Åstrand, Magnus and Speed, Terence P.",
    "A comparison of normalization methods for high density oligonucleotide array data based on variance and "
    "bias",
    2003,
    "Bioinformatics",
    "10.1093/bioinformatics/19.2.185",
)
MAD_FILTERS = Citation(
    "McCarthy2017",
    "article",
    "McCarthy, Davis J. and Campbell, Kieran R. and Lun, Aaron T. L. and Wills, Quin F.",
    "Scater: pre-processing, quality control, normalization and visualization of single-cell RNA-seq data "
    "in R",
    2017,
    "Bioinformatics",
    "10.1093/bioinformatics/btw777",
)
SCRUBLET = Citation(
    "Wolock2019",
    "article",
    "Wolock, Samuel L. and Lopez, Romain and Klein, Allon M.",
    "Scrublet: computational identification of cell doublets in single-cell transcriptomic data",
    2019,
    "Cell Systems",
    "10.1016/j.cels.2018.11.005",
)
HIGHLY_VARIABLE = Citation(
    "Satija2015",
    "article",
    "Satija, Rahul and Farrell, Jeffrey A. and Gennert, David and Schier, Alexander F. and Regev, Aviv",
    "Spatial reconstruction of single-cell gene expression data",
    2015,
    "Nature Biotechnology",
    "10.1038/nbt.3192",
)
HGNC = Citation(
    "Seal2023",
    "article",
    "Seal, Ruth L. and Braschi, Bryony and Gray, Kristian and others",
    "Genenames.org: the HGNC resources in 2023",
    2023,
    "Nucleic Acids Research",
    "10.1093/nar/gkac888",
)
EXCEL_DATES = Citation(
    "Ziemann2016",
    "article",
    "Ziemann, Mark and Eren, Yotam and El-Osta, Assam",
    "Gene name errors are widespread in the scientific literature",
    2016,
    "Genome Biology",
    "10.1186/s13059-016-1044-7",
)
REACTOME = Citation(
    "Milacic2024",
    "article",
    "Milacic, Marija and Beavers, Deidre and Conley, Patrick and others",
    "The Reactome Pathway Knowledgebase 2024",
    2024,
    "Nucleic Acids Research",
    "10.1093/nar/gkad1025",
)
HALLMARK = Citation(
    "Liberzon2015",
    "article",
    "Liberzon, Arthur and Birger, Chet and Thorvaldsdóttir, Helga and Ghandi, Mahmoud and Mesirov, Jill P. "
    "and Tamayo, Pablo",
    "The Molecular Signatures Database (MSigDB) hallmark gene set collection",
    2015,
    "Cell Systems",
    "10.1016/j.cels.2015.12.004",
)
GEO = Citation(
    "Barrett2013",
    "article",
    "Barrett, Tanya and Wilhite, Stephen E. and Ledoux, Pierre and others",
    "NCBI GEO: archive for functional genomics data sets: update",
    2013,
    "Nucleic Acids Research",
    "10.1093/nar/gks1193",
)
GDC = Citation(
    "Grossman2016",
    "article",
    "Grossman, Robert L. and Heath, Allison P. and Ferretti, Vincent and others",
    "Toward a shared vision for cancer genomic data",
    2016,
    "New England Journal of Medicine",
    "10.1056/NEJMp1607591",
)
GWAS_SSF = Citation(
    "Hayhurst2022",
    "article",
    "Hayhurst, James and Buniello, Annalisa and Harris, Laura and others",
    "A community driven GWAS summary statistics standard",
    2022,
    "bioRxiv",
    "10.1101/2022.07.15.500230",
)
EQTLGEN = Citation(
    "Vosa2021",
    "article",
    "Võsa, Urmo and Claringbould, Annique and Westra, Harm-Jan and others",
    "Large-scale cis- and trans-eQTL analyses identify thousands of genetic loci and polygenic scores that "
    "regulate blood gene expression",
    2021,
    "Nature Genetics",
    "10.1038/s41588-021-00913-z",
)
