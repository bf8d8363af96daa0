"""`nuvlm doctor`: a report of what is broken must not break."""

from pathlib import Path

import pytest

from hpc_nuvlm import doctor as subject
from hpc_nuvlm.doctor import FAILS, doctor

pytestmark = pytest.mark.slow


def test_a_sound_installation_has_nothing_that_fails(tmp_path):
    found = doctor(tmp_path)
    assert not [f"{name}: {told}" for name, told in found.items() if told.startswith(FAILS)]
    assert "torch 2." in found["packages"] and str(tmp_path) in found["disk"]
    assert found["kernels"] == "compile, and draw one hit where it belongs"
    assert found["nuvlm-nano"].endswith("sha256 as released")


def test_what_fails_is_told_in_one_line_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "_weights", lambda: (_ for _ in ()).throw(ValueError("first line\nsecond")))
    found = doctor(Path("/nowhere/at/all"))
    assert found["nuvlm-nano"] == f"{FAILS}: ValueError: first line"
    assert found["disk"].startswith(f"{FAILS}: FileNotFoundError")
    assert not found["memory"].startswith(FAILS)
