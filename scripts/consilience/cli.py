"""The command line: the library's functions with another front door.

What checks, inspects and downloads is here; what uses trained models (diagnose, markers, vectors, synthesise,
info), makes samples (augment) or estimates effects (twmr) is in `commands`. Others (predict, verify) come
with their capability.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from consilience import __version__
from consilience.commands.augment import augment
from consilience.commands.concordance import concordance
from consilience.commands.diagnose import diagnose
from consilience.commands.dml import dml
from consilience.commands.info import info
from consilience.commands.markers import markers
from consilience.commands.synthesise import synthesise
from consilience.commands.twmr import twmr
from consilience.commands.vectors import vectors
from consilience.foundation.errors import ConsilienceError, DataError
from consilience.foundation.jobs import log

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__.split("\n")[0]
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"consilience {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that come before a command."""


@app.command()
def fetch(
    config: Annotated[Path, typer.Option(help="Configuration file of the study.")] = Path(
        "config/config.yaml"
    ),
    cohort: Annotated[list[str] | None, typer.Option(help="Only this cohort (can be repeated).")] = None,
    list_only: Annotated[
        bool, typer.Option("--list", help="Only list what is not in the download cache yet.")
    ] = False,
) -> None:
    """Bring everything that a study downloads into the cache, for machines without a network afterwards."""
    from consilience.prefetch import prefetch
    from consilience.study.config import load_yaml

    for line in prefetch(load_yaml(config), config_file=config, names=cohort or [], list_only=list_only):
        typer.echo(line)


@app.command()
def check(
    config: Annotated[Path, typer.Option(help="Configuration file of the study.")] = Path(
        "config/config.yaml"
    ),
) -> None:
    """Check configuration, cohort sheet and designs; list every problem; write nothing."""
    from consilience.preflight import not_here_yet, preflight, stage_notes
    from consilience.study.config import load_yaml

    study = preflight(load_yaml(config), config_files=[config])
    kinds = ", ".join(
        f"{len(study.named(kind))} {kind}" for kind in dict.fromkeys(c.kind for c in study.cohorts)
    )
    typer.echo(f"{config}: no problems. {len(study.cohorts)} cohorts ({kinds})")
    for note in stage_notes(study):
        typer.echo(note)
    if later := not_here_yet(study):
        typer.echo(
            f"Columns and levels of {', '.join(later)} are checked when their files are here; "
            "`consilience inspect LOCATION` shows them now"
        )


@app.command()
def manifest(
    projects: Annotated[list[str], typer.Argument(help="GDC projects, such as TCGA-KICH.")],
    out: Annotated[Path, typer.Option(help="The manifest to write (.tsv).")],
    sample_type: Annotated[
        list[str] | None, typer.Option(help="Only this sample type (can be repeated).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Configuration file; its section fetch is used.")
    ] = None,
) -> None:
    """Write which files of GDC projects a cohort is now; name it as the location to keep exactly these."""
    from consilience.downloads.downloads import Downloads
    from consilience.sources.gdc.plan import write_manifest
    from consilience.study.config import read_config
    from consilience.study.sections import FetchSection

    default = Path("config/config.yaml")
    chosen = config or (default if default.is_file() else None)
    downloads = Downloads(read_config(chosen).fetch if chosen else FetchSection())
    typer.echo(write_manifest(downloads, projects=projects, sample_types=sample_type or [], path=out))


@app.command()
def inspect(
    target: Annotated[
        str, typer.Argument(help="File, folder, GEO series, GDC project, address, or name of a data set.")
    ],
    kind: Annotated[
        str, typer.Option(help="bulk, single_cell, perturbation or summary_statistics, where it is known.")
    ] = "",
    config: Annotated[Path | None, typer.Option(help="Study whose download settings are used.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a source holds: files, columns and levels, units, genes; and propose a row for the sheet."""
    import json

    from consilience.inspection.show import show
    from consilience.inspection.targets import inspect_target
    from consilience.study.cohorts import KINDS
    from consilience.study.config import read_config

    if kind not in {"", *KINDS}:
        raise DataError("unknown kind", where="--kind", value=kind, allowed=", ".join(KINDS))
    settings = read_config(config).fetch if config else None
    found = inspect_target(target, kind=kind, settings=settings)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
    else:
        show(found)


for command in (diagnose, markers, vectors, synthesise, augment, info, twmr, dml, concordance):
    app.command()(command)


def main() -> None:
    """Run the command line; errors that a user can mend end with their message and exit code 1.

    Log lines (what is waited for, how far a download is) go to stderr.
    """
    progress = logging.StreamHandler()
    log.addHandler(progress)
    log.setLevel(logging.INFO)
    try:
        app()
    except ConsilienceError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None
    except OSError as error:  # a folder that may not be written to, a disk that is full
        place = f"{error.filename}: " if error.filename else ""
        typer.echo(f"{place}{error.strerror or error}", err=True)
        raise SystemExit(1) from None
    finally:
        log.removeHandler(progress)
