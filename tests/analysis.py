"""The section analysis of the default configuration, for tests."""

from pathlib import Path

import yaml

ANALYSIS = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_bytes())["analysis"]
SYMMETRY_LIMITS = ANALYSIS["symmetry"]["largest_error"], ANALYSIS["symmetry"]["largest_prediction_change"]
