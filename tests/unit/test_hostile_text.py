"""What a configuration may say: no text of it reaches a path or a page unless it was checked or escaped."""

import ast
import re
from itertools import product

import pytest

from configuration import ROOT, resolve
from geometry.config.experiments import ConfigError

HOSTILE = ["../x", "/etc/passwd", "two\nlines", "{wildcards}", "{{ 7 * 7 }}", "$(touch x)", "`id`; rm -rf . #"]
HOSTILE += ["a b", "a\x00b", "<script>alert(1)</script>", ""]
FIELDS = {
    "an experiment's name": lambda text: {"experiments": {text: {}}},
    "process": lambda text: {"experiments": {"mess3": {"task": {"process": text}}}},
    "a parameter's name": lambda text: {"experiments": {"mess3": {"task": {"parameters": {text: 0.1}}}}},
    "a parameter": lambda text: {"experiments": {"mess3": {"task": {"parameters": {"x": text}}}}},
    "activation": lambda text: {"defaults": {"model": {"activation": text}}},
    "optimizer": lambda text: {"defaults": {"training": {"optimizer": text}}},
    "a site": lambda text: {"defaults": {"probe": {"sites": [text]}}},
    "device": lambda text: {"device": text},
    "format": lambda text: {"figures": {"format": text}},
    "explainer": lambda text: {"figures": {"explainer": text}},
    "the experiment of a drawn site": lambda text: {"figures": {"sites": {text: "concatenated"}}},
    "a drawn site": lambda text: {"figures": {"sites": {"mess3": text}}},
    "a key": lambda text: {text: 1},
    "a seed": lambda text: {"seeds": [text]},
}


@pytest.mark.parametrize(
    ("field", "text"),
    [pair for pair in product(FIELDS, HOSTILE) if pair != ("explainer", "")],  # no text is null, as in YAML
)
def test_hostile_text_is_refused_in_one_line(field, text):
    with pytest.raises(ConfigError) as error:
        resolve(FIELDS[field](text))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["figures", "provenance", "studies", "tasks", "workflow", "Figures", "null", "NULL"])
def test_experiment_cannot_have_the_name_of_a_folder_of_results(name):
    with pytest.raises(ConfigError, match=f"{name!r} at experiments must start with a letter"):
        resolve({"experiments": {name: {}}})


def is_of_tensors_alone(call):
    """Whether this is PyTorch's restricted reader, which makes tensors and containers of them and nothing else."""
    arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    return ast.unparse(call.func) == "torch.load" and arguments.get("weights_only") == "True"


def test_no_code_reads_or_writes_what_can_run_code():
    """Neither pickle and what is built on it, nor YAML's full loader, nor a shell."""
    modules = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    calls = {"torch.load", "torch.save", "np.load", "np.save", "yaml.load", "os.system", "eval", "exec"}
    for path in [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "envs").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & modules, path
            if isinstance(node, ast.Call):
                assert is_of_tensors_alone(node) or ast.unparse(node.func) not in calls, path
                assert not any(k.arg == "shell" for k in node.keywords), path


def is_text_without_encoding(call):
    """Whether a call opens text in whatever encoding the locale has."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    name = getattr(call.func, "attr", getattr(call.func, "id", None))
    if name in ("run", "Popen", "check_output"):
        return "text" in keywords or "universal_newlines" in keywords
    if name == "open":  # by itself, or of a path: then the mode comes first
        modes = [*call.args, keywords.get("mode")][isinstance(call.func, ast.Name) :]
        mode = next((a.value for a in modes if isinstance(a, ast.Constant) and isinstance(a.value, str)), None)
        if isinstance(call.func, ast.Attribute) and call.args and (mode is None or len(call.args) > 1):
            return False  # of an image or an archive
        return "b" not in (mode or "r") and "encoding" not in keywords
    of_object = isinstance(call.func, ast.Attribute)
    return of_object and name in ("read_text", "write_text", "FileHandler", "fdopen") and "encoding" not in keywords


def test_every_text_file_says_its_encoding():
    """As the locale's would make other bytes, or none, of the same text."""
    folders = ("scripts", "envs", "docs", "benchmarks", "tests")
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
        found = [f"{path}, line {call.lineno}: {ast.unparse(call)}" for call in calls if is_text_without_encoding(call)]
        assert found == []
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk"), ROOT / "benchmarks/Snakefile"]:
        assert not re.search(r"(read|write)_text\((?!.*encoding)|\bopen\(", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("code", "is_wrong"),
    [
        ("path.read_text()", True),
        ("path.read_text(encoding='utf-8')", False),
        ("path.write_text(text)", True),
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("open(path, 'rb')", False),
        ("path.open()", True),
        ("path.open('a')", True),
        ("path.open('ab')", False),
        ("Image.open(buffer)", False),
        ("archive.open(entry, 'w')", False),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command, encoding='utf-8')", False),
        ("logging.FileHandler(path)", True),
    ],
)
def test_text_without_encoding_is_told_from_what_is_none(code, is_wrong):
    assert is_text_without_encoding(ast.parse(code).body[0].value) is is_wrong
