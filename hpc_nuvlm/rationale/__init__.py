"""Rationales: what can be seen of an event, in short English sentences, and back.

claims.py takes claims from facts and judges them; wording.py is the one table of sentences, from which writing.py
writes and reading.py reads; scoring.py says how true texts are.
"""

from hpc_nuvlm.rationale.claims import Claim, Verdict, Window, claims_of, judge
from hpc_nuvlm.rationale.reading import confidences, keep_sure, read, read_class, sentences
from hpc_nuvlm.rationale.scoring import ClaimScores, KindScores, Ratio, score_claims
from hpc_nuvlm.rationale.wording import CLASS_TEXT
from hpc_nuvlm.rationale.writing import example_sentences, write

__all__ = [
    "CLASS_TEXT",
    "Claim",
    "ClaimScores",
    "KindScores",
    "Ratio",
    "Verdict",
    "Window",
    "claims_of",
    "confidences",
    "example_sentences",
    "judge",
    "keep_sure",
    "read",
    "read_class",
    "score_claims",
    "sentences",
    "write",
]
