"""Text that stands for a number, a boolean, null, a list or a mapping where a JSON schema wants one.

Snakemake hands what is nested in --config over as text, and YAML 1.1 reads 1e-3 as text.
"""

import re
from collections.abc import Mapping, Set
from fractions import Fraction

import yaml
from jsonschema import Draft202012Validator

TYPES = Draft202012Validator.TYPE_CHECKER
DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)
FRACTION = re.compile(r"[-+]?[0-9]+/[0-9]+")


def literal(text: str):
    """The value of a text: a fraction of whole numbers, any decimal number, or what YAML reads it as; else the text."""
    try:
        if FRACTION.fullmatch(text):
            return float(Fraction(text))
        value = yaml.safe_load(text)
        return float(value) if isinstance(value, str) and DECIMAL.fullmatch(value) else value
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError):
        return text


def read(text: str, wanted: Set[str], pattern: str = ""):
    """The value that a text stands for if that is of a wanted type; else the text, also where such text is wanted."""
    value = literal(text)
    if value is None and "null" in wanted:
        return None
    is_wanted = "string" in wanted and re.search(pattern, text)
    if is_wanted or not any(TYPES.is_type(value, name) for name in wanted):
        return text
    return value


def typed(value, schema: Mapping):
    """`value` with each text in it read as what the schema wants in its place; what does not fit stays as it is."""
    names = schema.get("type", [])
    if isinstance(value, str):
        value = read(value, {names} if isinstance(names, str) else set(names), schema.get("pattern", ""))
    if isinstance(value, Mapping):
        known, other = schema.get("properties", {}), schema.get("additionalProperties") or {}
        return {key: typed(item, known.get(key, other)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [typed(item, schema.get("items", {})) for item in value]
    return value
