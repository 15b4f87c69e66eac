"""
Shared by all of rules/: the checked study, names of cohorts and folders, what each job depends on.

REQUIRES  the configuration (config/config.yaml or --configfile) and the cohort sheet it names
MAKES     STUDY, RESULTS, LOGS, BENCHMARKS and the functions that say what each rule depends on;
          stops with all errors before any job
"""

import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from consilience.augment.generators import generators
from consilience.augment.judging import REAL_TRAIN
from consilience.downloads.catalogue import load_catalogue
from consilience.foundation.codetrace import code
from consilience.foundation.errors import ConsilienceError
from consilience.pathways.gene_sets import SHIPPED
from consilience.preflight import preflight
from consilience.sources.fetch import local_files

try:
    STUDY = preflight(
        config, config_files=workflow.configfiles, designs=workflow.is_main_process
    )
except ConsilienceError as error:
    print(f"{error}\nNothing was run.", file=sys.stderr)
    sys.exit(1)

NAME = STUDY.config.study.name
RESULTS = f"results/{NAME}"
LOGS = f"logs/{NAME}"
BENCHMARKS = f"benchmarks/{NAME}"
SEED = STUDY.config.study.seed
EXPRESSION_COHORTS = STUDY.named("bulk", "single_cell", "perturbation")
SUMMARY_COHORTS = STUDY.named("summary_statistics")
SIMULATED_COHORTS = STUDY.named(source="simulated")
# empty where the stage is off: then no rule of it has anything to make
RNAGAN_COHORTS = [
    name
    for name in STUDY.named("bulk", "single_cell")
    if STUDY.config.rnagan.enabled and STUDY[name].role in {"study", "both"}
]
PRETRAINING_COHORTS = [
    name
    for name in EXPRESSION_COHORTS
    if STUDY.config.rnagan.enabled and STUDY[name].role in {"pretrain", "both"}
]
AUGMENT = STUDY.config.augment
AUGMENT_COHORTS = [
    name
    for name in STUDY.named("bulk")
    if AUGMENT.enabled
    and STUDY[name].role in {"study", "both"}
    and name in (AUGMENT.cohorts or [name])
]
# the one that is asked for is compared too
COMPARED = sorted({*AUGMENT.generators, AUGMENT.generator} - {"auto"})
CAUSAL = STUDY.config.causal
POPULATION = [
    name
    for name in SUMMARY_COHORTS
    if CAUSAL.enabled and STUDY[name].role in {"study", "both"}
]
CELLS = [
    name
    for name in STUDY.named("single_cell")
    if CAUSAL.enabled
    and STUDY[name].role in {"study", "both"}
    and name in (CAUSAL.dml.cohorts or [name])
]
PAIRS = CAUSAL.pairs or [
    [population, cells] for population in POPULATION for cells in CELLS
]
PAIRS = PAIRS if CAUSAL.enabled else []
LATENT = CAUSAL.denoising.enabled and (
    CAUSAL.dml.latents or CAUSAL.dml.expression == "denoised"
)
CONTAINERS = STUDY.config.containers
# a short training is mostly reading files, which other jobs can do meanwhile
TRAINING_THREADS = 4 if STUDY.config.rnagan.effort >= 0.5 else 1

# relative where snakemake runs in the checkout, so that a moved or copied folder has nothing to do again
CHECKOUT = Path(workflow.basedir)
CHECKOUT = Path() if CHECKOUT == Path.cwd() else CHECKOUT
RESOURCES = str(CHECKOUT / "resources")
GENE_TABLE = f"{RESOURCES}/genes/human_genes.tsv.gz"


def one_of(names):
    """A regular expression that matches exactly these names, or nothing at all."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


wildcard_constraints:
    cohort=one_of(STUDY.named()),


def cohort_params(wildcards):
    """The row of the sheet as plain values: editing one row reruns the jobs of that cohort only."""
    return STUDY[wildcards.cohort].to_params()


def settings(section):
    """A section of the configuration as plain values."""
    return getattr(STUDY.config, section).model_dump()


def more_memory(megabytes):
    """A resource that doubles with every new attempt."""
    return lambda wildcards, attempt: megabytes * 2 ** (attempt - 1)


def shared_simulation(wildcards):
    """Settings of the truth itself: sizes of cohorts do not change it."""
    sizes = {"bulk", "single_cell", "perturbation", "summary_statistics", "cohorts"}
    return {
        key: value for key, value in settings("simulation").items() if key not in sizes
    }


def cohort_simulation(wildcards):
    """All that one cohort depends on: the shared settings and its own sizes."""
    simulation = settings("simulation")
    kind = STUDY[wildcards.cohort].kind
    sizes = simulation[kind] | simulation["cohorts"].get(wildcards.cohort, {})
    return shared_simulation(wildcards) | {kind: sizes}


def offered(wildcards):
    """What a fetch depends on: the simulated server's manifest, or the user's own files."""
    cohort = STUDY[wildcards.cohort]
    if cohort.source == "simulated":
        return f"{RESULTS}/served/{cohort.name}/manifest.json"
    if cohort.source == "local":
        found = local_files(Path(cohort.location), patterns=cohort.files)
        return [str(path) for path, _ in found]
    is_manifest = cohort.source == "gdc" and Path(cohort.location).is_file()
    return [cohort.location] if is_manifest else []


def catalogue_rows(wildcards):
    """Rows of resources/datasets.tsv for this cohort: a changed digest or address fetches it again."""
    return load_catalogue().rows(STUDY[wildcards.cohort].location)


def gene_set_files(wildcards):
    """Shipped collections by name, the user's own by path."""
    shipped = {name: f"{RESOURCES}/gene_sets/{name}.gmt.gz" for name in SHIPPED}
    return [shipped.get(name, name) for name in STUDY.config.pathways.gene_sets]


def marker_table(wildcards):
    """The list of marker genes, shipped or the user's own (preflight has found it)."""
    name = STUDY.config.cell_types.markers
    shipped = Path(RESOURCES) / "markers" / f"{name}.tsv"
    return [str(shipped) if shipped.is_file() else name] if name else []


def everything_to_report(wildcards):
    """Results of all stages; each later stage adds its own line here."""
    files = expand(f"{RESULTS}/raw/{{cohort}}/provenance.json", cohort=STUDY.named())
    files += expand(
        f"{RESULTS}/expression/{{cohort}}.qc.json", cohort=EXPRESSION_COHORTS
    )
    files += expand(
        f"{RESULTS}/expression/{{cohort}}.removed.parquet", cohort=EXPRESSION_COHORTS
    )
    files += expand(
        f"{RESULTS}/summary_statistics/{{cohort}}/qc.json", cohort=SUMMARY_COHORTS
    )
    if EXPRESSION_COHORTS:
        files += [
            f"{RESULTS}/pathways/mask.parquet",
            f"{RESULTS}/pathways/coverage.json",
        ]
    if SIMULATED_COHORTS and EXPRESSION_COHORTS:
        files += [f"{RESULTS}/truth/found.json"]
    return files + rnagan_results() + augment_results() + causal_results()


def rnagan_settings(*keys):
    """The named settings of this stage and no others: a changed one reruns only what uses it."""
    return {key: settings("rnagan")[key] for key in ("preset", *keys)}


def other_pretraining(wildcards):
    """Cohorts that a cohort's own models may learn from before they see it."""
    return [name for name in PRETRAINING_COHORTS if name != wildcards.cohort]


def of_cohort(name):
    """A file of the stage rnagan of any cohort."""
    return f"{RESULTS}/rnagan/{{cohort}}/{name}"


def rnagan_results():
    """Results of the stage rnagan that the report shows."""
    names = ("training", "diagnosis", "markers", "synthetic", "vectors")
    files = expand(
        f"{RESULTS}/rnagan/{{cohort}}/{{name}}.json", cohort=RNAGAN_COHORTS, name=names
    )
    for other, cohort in STUDY.config.rnagan.transfer if RNAGAN_COHORTS else ():
        files.append(f"{RESULTS}/rnagan/{cohort}/transfer_from_{other}.json")
    if PRETRAINING_COHORTS:
        files.append(f"{RESULTS}/rnagan/pretrained.json")
    return files


def augment_settings(*keys):
    """The named settings of this stage and no others: a changed one reruns only what uses it."""
    common = ("genes", "effort", "epsilon", "temperature")
    return {key: settings("augment")[key] for key in (*common, *keys)}


def augmented(name):
    """A file of the stage augment of any cohort."""
    return f"{RESULTS}/augment/{{cohort}}/{name}"


def compared(name, keys=COMPARED):
    """A piece of every generator of any cohort."""
    return expand(f"{RESULTS}/augment/{{{{cohort}}}}/{name}", generator=keys)


def neural(wildcards):
    """Whether a job trains a network: it may have a GPU, and threads of its own."""
    keys = [getattr(wildcards, "generator", AUGMENT.generator)]
    keys = COMPARED if keys == ["auto"] else keys
    return any(key != REAL_TRAIN and generators()[key].neural for key in keys)


def augment_threads(wildcards):
    """As with other trainings: more than one where there is much to do."""
    return 4 if neural(wildcards) and AUGMENT.effort >= 0.5 else 1


def augment_gpu(wildcards):
    """One for a job that trains a network."""
    return int(neural(wildcards))


def rnagan_base(wildcards):
    """The model of the generator rnagan: pretrained on the other cohorts, never on this one."""
    keys = [getattr(wildcards, "generator", "rnagan")]
    wanted = "rnagan" in COMPARED and keys == ["rnagan"]
    return [f"{RESULTS}/rnagan/{wildcards.cohort}/base"] if wanted else []


def augment_results():
    """Results of the stage augment that the report shows."""
    names = ("generators", "utility", "robustness", "metrics", "privacy")
    return expand(
        f"{RESULTS}/augment/{{cohort}}/{{name}}.json",
        cohort=AUGMENT_COHORTS,
        name=names,
    )


def causal_settings(step):
    """The settings of one step: a changed one reruns that step and what follows from it."""
    return settings("causal")[step]


def of_population(name):
    """A file of any cohort of summary statistics."""
    return f"{RESULTS}/causal/population/{{cohort}}/{name}"


def of_cells(name):
    """A file of any single-cell cohort."""
    return f"{RESULTS}/causal/cells/{{cohort}}/{name}"


def of_pair(name):
    """A file of any pair."""
    return f"{RESULTS}/causal/agreement/{{population}}/{{cells}}/{name}"


def latent_if_asked(wildcards):
    """Latent confounders of the cells, where the nuisances are given them."""
    return [of_cells("latent.parquet")] if LATENT else []


def denoised_if_asked(wildcards):
    """The network that denoises, where its expression is the treatment."""
    return [of_cells("model")] if CAUSAL.dml.expression == "denoised" else []


def causal_results():
    """Results of this stage that the report shows."""
    files = expand(of_population("mr.parquet"), cohort=POPULATION)
    files += expand(of_population("twmr.parquet"), cohort=POPULATION)
    files += expand(of_cells("dml.json"), cohort=CELLS)
    files += expand(
        of_cells("denoising.json"), cohort=CELLS if CAUSAL.denoising.enabled else []
    )
    for population, cells in PAIRS:
        files += expand(of_pair("metrics.json"), population=population, cells=cells)
    return files


def simulated_twmr():
    """Estimates of traits whose truth is known."""
    known = [name for name in POPULATION if name in SIMULATED_COHORTS]
    return expand(of_population("twmr.parquet"), cohort=known)


def simulated_agreement():
    """Agreement of pairs whose truth is known on both sides."""
    return [
        f"{RESULTS}/causal/agreement/{population}/{cells}/concordance.parquet"
        for population, cells in PAIRS
        if {population, cells} <= set(SIMULATED_COHORTS)
    ]


def say_where_the_report_is():
    print(
        f"\nThe report: {Path(RESULTS, 'report', 'index.html').resolve()}",
        file=sys.stderr,
    )


def say_how_to_go_on():
    print(
        f"\nThe run stopped. What is wrong stands above and in {LOGS}/; finished steps are kept.\n"
        "Mend it and give the same command again: it goes on where it stopped.",
        file=sys.stderr,
    )
    free = shutil.disk_usage(RESULTS if Path(RESULTS).exists() else ".").free
    if (
        free < 16e6
    ):  # a library that dies on a full disk may not have been able to say so
        print(f"The disk is full: {free / 1e6:.1f} MB are free.", file=sys.stderr)
