"""The application that commands register with, and what they share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hpc_nuvlm import __version__
from hpc_nuvlm.errors import UserError
from nuvlm_kernels.cache import drop_stale

HELP = "`nuvlm`: what a person types at a prompt; training and evaluation are started by launchers, from launch/."

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)
console = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
ConfigArgument = Annotated[Path, typer.Argument(help="YAML file of a training.")]
OverridesArgument = Annotated[list[str] | None, typer.Argument(help="Changes of single keys, a.b=c.")]


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if show:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point: a user's mistake is one line and its exit code, never a traceback."""
    drop_stale()
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        sys.exit(130)
