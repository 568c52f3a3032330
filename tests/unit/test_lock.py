"""The environment: one lock, two ways to install it."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml

ENVS = Path(__file__).parents[2] / "envs"
LOCK = re.findall(r"^([A-Za-z][^ \n]*)", (ENVS / "requirements.txt").read_text(encoding="utf-8"), re.M)


def test_conda_environment_has_the_same_pins():
    assert yaml.safe_load((ENVS / "study.yaml").read_text(encoding="utf-8"))["dependencies"][-1]["pip"] == LOCK


def test_every_package_is_pinned_exactly_and_installed_so():
    pins = dict(pin.split("==") for pin in LOCK)
    for name in re.findall(r"^([A-Za-z0-9_-]+)", (ENVS / "requirements.in").read_text(encoding="utf-8"), re.M):
        (pinned,) = (pin for pin in pins if pin.lower() == name.lower())
        assert version(name).split("+")[0] == pins[pinned]
