"""The code digest: statements and pins count, wherever the script reaches them, and nothing else does."""

import ast
from pathlib import Path

import pytest

from geometry.provenance import code_digest as digest
from geometry.provenance.code_digest import code_of
from geometry.provenance.requirements_lock import LockError, read_lock

ROOT = Path(__file__).parents[2]
FILES = {
    "run.py": "import sys\nfrom typing import TYPE_CHECKING\nfrom lib.model import f\nimport lib.style\n"
    "if TYPE_CHECKING:\n    from engine import job\nelse:\n    job = 1\n",
    "lib/__init__.py": "",
    "lib/model.py": '"""Doc."""\nfrom lib import base\n\ndef f(x):\n    """Doc."""\n    return base.k * x  # why\n',
    "lib/base.py": "import arrays.linear\n\nk = 1\n",
    "lib/style.py": "import PIL\n\nc = 1\n",
    "lib/unrelated.py": "import stranger\n\nu = 1\n",
    "lock.txt": "# a comment\nArrays==1.0+cpu  # needs deep-one\ndeep_one==2.0\nengine==9.27.1  # needs deep-one\n"
    "pillow==3.0  # imported as PIL _imaging; needs arrays\nstranger==4.0\n",
}


@pytest.fixture
def code_after(tmp_path):
    """The code of run.py after an edit of one file."""

    def edit(name=None, old="", new=""):
        for cached in (digest._read, digest.local_files, read_lock):
            cached.cache_clear()
        for path, text in FILES.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            assert path != name or old in text
            (tmp_path / path).write_text(text.replace(old, new) if path == name else text, encoding="utf-8")
        return code_of(tmp_path / "run.py", tmp_path / "lock.txt")

    return edit


def test_reaches_exactly_what_is_imported(code_after):
    code = code_after()
    assert list(code.modules) == ["lib/__init__.py", "lib/base.py", "lib/model.py", "lib/style.py", "run.py"]
    assert code.packages == {"arrays": "1.0+cpu", "deep-one": "2.0", "pillow": "3.0"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lib/model.py", "# why", "# because"),
        ("lib/model.py", "Doc.", "Better words."),
        ("lib/model.py", "base.k * x", "(base.k  *  x)"),
        ("lib/unrelated.py", "u = 1", "u = 2"),
        ("lock.txt", "stranger==4.0", "stranger==4.1"),
        ("lock.txt", "engine==9.27.1", "engine==9.28"),
        ("lock.txt", "# a comment", "# another"),
    ],
)
def test_comments_docstrings_and_strangers_do_not_count(code_after, name, old, new):
    assert code_after().digest == code_after(name, old, new).digest


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run.py", "import sys", "import os"),
        ("run.py", "job = 1", "job = 2"),
        ("lib/model.py", "base.k * x", "base.k + x"),
        ("lib/base.py", "k = 1", "k = 2"),
        ("lib/base.py", "k = 1", "k = None"),
        ("lock.txt", "Arrays==1.0", "Arrays==1.1"),
        ("lock.txt", "deep_one==2.0", "deep_one==2.1"),
        ("lock.txt", "pillow==3.0", "pillow==3.1"),
        ("lock.txt", "imported as PIL _imaging; needs arrays", "imported as PIL; needs stranger"),
    ],
)
def test_statements_and_pins_count(code_after, name, old, new):
    assert code_after().digest != code_after(name, old, new).digest


def test_package_that_the_lock_lacks_is_named(code_after):
    with pytest.raises(LockError, match=r"no package of lock.txt is imported as 'numbers_of_old'"):
        code_after("lib/base.py", "import arrays.linear", "import numbers_of_old")


def test_relative_import_is_refused(code_after):
    with pytest.raises(LockError, match=r"lib/base.py imports relatively \(from . import linear\)"):
        code_after("lib/base.py", "import arrays.linear", "from . import linear")


def test_line_that_is_no_pin_is_named(code_after):
    with pytest.raises(LockError, match=r"lock.txt, line 6 is 'stranger>=4.0'; it must be name==version"):
        code_after("lock.txt", "stranger==4.0", "stranger>=4.0")


def test_digests_differ_for_any_two_different_modules():
    """The syntax tree in the digest loses nothing: as many digests as distinct modules."""
    files = [p for p in (ROOT / "scripts").rglob("*.py") if p.name != "__init__.py"]
    trees = {ast.dump(ast.parse(p.read_bytes())) for p in files}
    assert len({digest.statements(p) for p in files}) == len(trees) == len(files)
