"""Fixtures for all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Fixed examples: a failure in CI is the same failure at home. No deadline: machines are shared.
settings.register_profile("nuvlm", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("nuvlm")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with real event files by other groups: NUVLM_TEST_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("NUVLM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "SOURCES.md").is_file():
        message = f"{folder} holds no event files; set NUVLM_TEST_DATA to the folder that does"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
