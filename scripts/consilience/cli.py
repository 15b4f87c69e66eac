"""The command line: the library's functions with another front door.

Present: `check`. The commands that use trained models (diagnose, markers, vectors, augment, predict, twmr,
dml, concordance, info, verify, inspect) come with the capability they belong to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilience import __version__
from consilience.foundation.errors import ConsilienceError

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
def check(
    config: Annotated[Path, typer.Option(help="Configuration file of the study.")] = Path(
        "config/config.yaml"
    ),
) -> None:
    """Check configuration, cohort sheet and designs; list every problem; write nothing."""
    from consilience.preflight import preflight
    from consilience.study.config import load_yaml

    study = preflight(load_yaml(config), config_files=[config])
    kinds = ", ".join(
        f"{len(study.named(kind))} {kind}" for kind in dict.fromkeys(c.kind for c in study.cohorts)
    )
    typer.echo(f"{config}: no problems. {len(study.cohorts)} cohorts ({kinds})")


def main() -> None:
    """Run the command line; errors that a user can mend end with their message and exit code 1."""
    try:
        app()
    except ConsilienceError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None
