"""Context: what is said of an event beside its pictures, in one line of a vision-language model's questions.

Measured of the hits alone (measured.py), or taken from a table of the user's (table.py), which is first compared with
the truth (leaks.py): the answer must not stand in the question.
"""

from hpc_nuvlm.context.leaks import check_leaks
from hpc_nuvlm.context.line import ContextLines, check_context, open_context, require_rows
from hpc_nuvlm.context.measured import MEASURED
from hpc_nuvlm.context.table import Table, read_table

__all__ = [
    "MEASURED",
    "ContextLines",
    "Table",
    "check_context",
    "check_leaks",
    "open_context",
    "read_table",
    "require_rows",
]
