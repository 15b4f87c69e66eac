"""Consilience: from raw human transcriptomics cohorts to models, synthetic data, causal evidence and one report.

`make demo` runs the embedded study; `snakemake --profile local` (or slurm) runs the study of config/config.yaml.
The includes are in data order: read them as a table of contents.
"""

from snakemake.utils import min_version

min_version("9.27")

if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/simulate.smk"
include: "rules/fetch.smk"
include: "rules/prepare.smk"
include: "rules/pathways.smk"
include: "rules/rnagan.smk"
include: "rules/augment.smk"
include: "rules/causal.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        f"{RESULTS}/report/index.html",


onsuccess:
    say_where_the_report_is()


onerror:
    say_how_to_go_on()
