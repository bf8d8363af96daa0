"""The oldest versions that setup.py allows are newer than those of which a hole is known."""

import re
from pathlib import Path

import pytest
from packaging.version import Version

SETUP = Path(__file__).parent.parent / "setup.py"
# Package -> the first good version, and the advisory
ADVISORIES = {
    "torch": ("2.10", "CVE-2026-24747: torch.load(weights_only=True) corrupts memory; before 2.6 CVE-2025-32434"),
    "transformers": ("5.3.0", "CVE-2026-4372: config.json runs code in spite of trust_remote_code=False"),
    "deepspeed": ("0.15.2", "CVE-2024-43497: runs code"),
}


def lower_bounds() -> dict[str, Version]:
    found = re.findall(r'"([a-z0-9-]+)>=([0-9.]+)"', SETUP.read_text())
    return {name: Version(bound) for name, bound in found}


@pytest.mark.parametrize("package", ADVISORIES)
def test_no_version_with_a_known_hole_is_allowed(package):
    good, advisory = ADVISORIES[package]
    assert lower_bounds()[package] >= Version(good), advisory


def test_a_bound_that_is_too_low_would_be_found(tmp_path, monkeypatch):
    old = tmp_path / "setup.py"
    old.write_text('install_requires=["torch>=2.5", "transformers>=5.23"]')
    monkeypatch.setitem(globals(), "SETUP", old)
    assert lower_bounds()["torch"] < Version(ADVISORIES["torch"][0])
