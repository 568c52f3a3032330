"""The code digest: statements count, in any module that the script reaches, and nothing else does."""

import pytest

from geometry.digest import code_digest, local_imports, reachable_files, statements

FILES = {
    "run.py": "import sys\nfrom lib.model import f\nimport lib.style\n",
    "lib/__init__.py": "",
    "lib/model.py": '"""Doc."""\nfrom lib import base\n\ndef f(x):\n    """Doc."""\n    return base.k * x  # why\n',
    "lib/base.py": "k = 1\n",
    "lib/style.py": "c = 1\n",
    "lib/unrelated.py": "u = 1\n",
}


@pytest.fixture
def digest_after(tmp_path):
    """The digest of run.py after an edit of one file."""

    def edit(name=None, old="", new=""):
        for cached in (local_imports, statements):
            cached.cache_clear()
        for path, text in FILES.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(text.replace(old, new) if path == name else text)
        return code_digest(tmp_path / "run.py")

    return edit


def test_reaches_exactly_what_is_imported(digest_after, tmp_path):
    digest_after()
    found = {p.relative_to(tmp_path).as_posix() for p in reachable_files(tmp_path / "run.py", tmp_path)}
    assert found == {"run.py", "lib/__init__.py", "lib/model.py", "lib/base.py", "lib/style.py"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lib/model.py", "# why", "# because"),
        ("lib/model.py", "Doc.", "Better words."),
        ("lib/model.py", "base.k * x", "(base.k  *  x)"),
        ("lib/unrelated.py", "u = 1", "u = 2"),
    ],
)
def test_comments_docstrings_and_strangers_do_not_count(digest_after, name, old, new):
    assert digest_after() == digest_after(name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("run.py", "import sys", "import os"), ("lib/model.py", "base.k * x", "base.k + x"), ("lib/base.py", "1", "2")],
)
def test_statements_count(digest_after, name, old, new):
    assert digest_after() != digest_after(name, old, new)
