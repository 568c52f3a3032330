"""The tiny study, run once for all tests."""

import pytest
from harness import Study


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Study:
    """The tiny study, run to its end on two cores."""
    study = Study(tmp_path_factory.mktemp("first"))
    result = study.snakemake()
    assert result.returncode == 0, result.stderr[-5000:]
    return study
