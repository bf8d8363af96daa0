"""`nuvlm`: its commands, one file for each subject."""

from hpc_nuvlm.cli import data, jobs, models
from hpc_nuvlm.cli.app import app, main

__all__ = ["app", "data", "jobs", "main", "models"]
