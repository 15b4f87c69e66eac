"""
What every rule file uses: the checked study, names of cohorts and folders, code digests.

REQUIRES  the configuration (config/config.yaml or --configfile) and the cohort sheet it names
MAKES     STUDY, RESULTS, LOGS, BENCHMARKS, code(), cohort_params(); stops with all errors before any job
"""

import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from consilience.foundation.codetrace import code
from consilience.foundation.errors import ConsilienceError
from consilience.preflight import preflight

try:
    STUDY = preflight(
        config, config_files=workflow.configfiles, designs=workflow.is_main_process
    )
except ConsilienceError as error:
    raise WorkflowError(f"{error}\nNothing was run.") from None

NAME = STUDY.config.study.name
RESULTS = f"results/{NAME}"
LOGS = f"logs/{NAME}"
BENCHMARKS = f"benchmarks/{NAME}"
SEED = STUDY.config.study.seed
EXPRESSION_COHORTS = STUDY.named("bulk", "single_cell", "perturbation")
SUMMARY_COHORTS = STUDY.named("summary_statistics")
SIMULATED_COHORTS = STUDY.named(source="simulated")
CONTAINERS = STUDY.config.containers

RESOURCES = str(Path(workflow.basedir) / "resources")
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
