"""The default configuration and its schema, for tests, and studies that lay other settings over it."""

from pathlib import Path

import yaml

from geometry.config.experiments import canonical_config, merged, resolve_experiments
from geometry.config.study import Study

ROOT = Path(__file__).parents[1]


def content_of(name):
    """What a YAML file of the project holds, by its path in it."""
    return yaml.safe_load((ROOT / name).read_bytes())


CONFIG = content_of("config.yaml")
SCHEMA = content_of("rules/schemas/config.schema.yaml")
ANALYSIS = CONFIG["analysis"]
SYMMETRY_LIMITS = ANALYSIS["symmetry"]["largest_error"], ANALYSIS["symmetry"]["largest_prediction_change"]


def config_with(*overrides):
    """The default configuration in canonical form, with other settings laid over it."""
    config = CONFIG
    for override in overrides:
        config = merged(config, override)
    return canonical_config(config, SCHEMA)


def resolve(*overrides):
    """The experiments of such a configuration, by name."""
    return resolve_experiments(config_with(*overrides), SCHEMA)


def study_with(*overrides):
    """The study of such a configuration."""
    return Study(config_with(*overrides), resolve(*overrides))
