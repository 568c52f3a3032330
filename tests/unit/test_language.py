"""The vocabulary and the size of modules and scripts, so that retired words and long files do not come back."""

import ast
import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
FILES = sorted(SCRIPTS.rglob("*.py"))

RETIRED = {
    "asked": "scored, requested or wanted",
    "examination": "probe design",
    "examine": "evaluate or probe",
    "floor": "baseline",
    "floors": "baselines",
    "foreign": "pretrained",
    "guess": "mean baseline or unigram baseline",
    "handed": "carried forward",
    "honest": "held out or nested",
    "kept": "cached, chosen or retained",
    "knows": "determines or represents",
    "recut": "surgery",
    "rival": "covariate",
    "rivals": "covariates",
    "said": "predicted, or the name of the text",
    "says": "predicts, states or names",
    "sheet": "score rows",
    "sober": "weaker",
    "streams": "layer outputs",
    "tells": "determines, identifies or names",
    "told": "identifiable, detected or given",
    "transplant": "surgery",
    "transplanted": "surgery",
    "transplants": "surgery and controls",
    "twin": "patched copy",
    "twins": "patched prefixes",
    "untrained": "at initialisation, or random networks",
    "wander": "simulate",
    "who": "the observer, the predictor",
    "yardstick": "scorer",
}
"""Words that name nothing in the field, or another thing, and the words to use instead."""

OPENINGS = {"How", "Of", "That", "What", "When", "Where", "Whether", "Which", "Who", "Why"}
"""First words of a docstring that do not state what is returned."""

LONGEST_MODULE, LONGEST_SCRIPT = 300, 150


def name_of(path):
    return path.relative_to(SCRIPTS).as_posix()


def words(text):
    """The words of a text or an identifier, in lower case; re-cut is one word."""
    text = re.sub(r"(?i)style.?sheet|(?<=re)[-_](?=cut)", "", text)
    return re.findall("[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower())


def names_and_docstrings(tree):
    """The identifiers that a module defines and its docstrings, those of constants included, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def retired_words(path):
    tree = ast.parse(path.read_bytes())
    found = {(line, word) for line, text in names_and_docstrings(tree) for word in words(text) if word in RETIRED}
    return [f"{name_of(path)}:{line} {word!r}: use {RETIRED[word]}" for line, word in sorted(found)]


def odd_openings(path):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, documented)]
    texts = [(getattr(node, "lineno", 1), ast.get_docstring(node)) for node in nodes]
    return [f"{name_of(path)}:{line} {text[:60]!r}" for line, text in texts if text and text.split()[0] in OPENINGS]


def test_every_file_is_held_to_the_vocabulary():
    assert len(FILES) > 150


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_identifiers_and_docstrings_have_no_retired_words(path):
    assert retired_words(path) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_docstrings_state_the_quantity_first(path):
    assert odd_openings(path) == []


def test_retired_words_are_found_in_names_and_docstrings(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "SCRIPTS", tmp_path)
    path = tmp_path / "module.py"
    code = '"""What is told."""\n\n\nclass FloorSheet:\n    def cache(self, n_kept):\n        re_cut = "twins"\n'
    path.write_text(code, encoding="utf-8")
    assert [line.split("'")[1] for line in retired_words(path)] == ["told", "floor", "sheet", "kept", "recut"]
    assert len(odd_openings(path)) == 1


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_modules_and_scripts_are_short(path):
    longest = LONGEST_MODULE if "geometry" in path.parts[len(SCRIPTS.parts) :] else LONGEST_SCRIPT
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= longest
