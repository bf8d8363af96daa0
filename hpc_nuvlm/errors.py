"""Errors that a user can cause. Each says where, which value, which rule it breaks, and the remedy.

The command line prints them without a traceback and exits with code 2. A mistake of ours is an
AssertionError or whatever Python raises, with its traceback.
"""


class UserError(ValueError):
    """A mistake in what was given to the toolkit; the text is meant for its user."""


class ConfigError(UserError):
    """A configuration key or value that cannot be used."""


class FormatError(UserError):
    """A foreign file that does not hold what its format promises."""


class StoreError(UserError):
    """A dataset that is damaged, incomplete or not writable."""
