"""Errors that a user can cause. Each says where, which value, which rule it breaks, and the remedy.

The command line prints them without a traceback and exits with their code: 2, if none is said here. A mistake of ours
is an AssertionError or whatever Python raises, with its traceback.
"""

import sys
from collections.abc import Callable


class UserError(ValueError):
    """A mistake in what was given to the toolkit; the text is meant for its user."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration key or value that cannot be used."""


class FormatError(UserError):
    """A foreign file that does not hold what its format promises."""


class StoreError(UserError):
    """A dataset or checkpoint that is damaged, incomplete or not writable."""


class CheckpointError(StoreError):
    """A checkpoint that could not be written: the disk is full, or the state is not fit to be continued from."""

    # EX_CANTCREAT of sysexits.h: starting again changes nothing until somebody makes room
    exit_code = 73


class LostRankError(UserError):
    """Another rank is gone in the middle of a step."""

    # EX_SOFTWARE of sysexits.h, as a hang has (engine/stop.py): started again, the run continues
    exit_code = 70


def exit_code_of(program: Callable[[], int | None]) -> int:
    """Run a program: its exit code, 0 for None; of a user's mistake, one line on stderr and its code."""
    try:
        return program() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
