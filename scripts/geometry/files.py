"""Files that are put in place whole, and the files below a folder. It imports no package, as every job waits for it.

Files are written under a temporary name in the same folder and moved to their path when complete.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path that becomes `path` if the block succeeds and vanishes if it fails.

    It always has the same name, so that remains of a killed process are cleared by the next.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder / path.name
        os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def files_below(folder: str | Path, is_entered: Callable[[Path], bool] = lambda link: True) -> Iterator[Path]:
    """Every file below a folder by its path there, sorted, through links to folders too.

    Paths that are not entered are yielded themselves: links without a target, to a parent folder, refused by
    `is_entered`, or behind a link and to the target of a previous one; unreadable folders. Files that operating
    systems create are left out.
    """
    entered = set()

    def walk(folder: Path, holders: tuple[str, ...]) -> Iterator[Path]:
        """`holders` are the real folders of the links on the path."""
        try:
            paths = sorted(folder.iterdir())
        except OSError:
            yield folder
            return
        for path in paths:
            if LEFT_BEHIND.fullmatch(path.name):
                continue
            if not os.path.isdir(path):
                yield path
                continue
            if not path.is_symlink():
                yield from walk(path, holders)
                continue
            place, behind = os.path.realpath(path), (*holders, os.path.realpath(folder))
            leads_up = any(Path(holder).is_relative_to(place) for holder in behind)
            if leads_up or not is_entered(path) or (holders and place in entered):
                yield path
            else:
                entered.add(place)
                yield from walk(path, behind)

    yield from walk(Path(folder), ()) if os.path.lexists(folder) else ()


LEFT_BEHIND = re.compile(
    r"\.DS_Store|\._.*|\.AppleDouble|\.apdisk|\.localized|Icon\r|\.Spotlight-V100|\.fseventsd|\.TemporaryItems|\.Trashes"
    r"|Thumbs\.db|ehthumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information"
    r"|\.nfs[0-9a-fA-F]+|\.fuse_hidden\w+|\.directory|\.Trash-\d+|lost\+found|\.snapshot|@eaDir",
    re.IGNORECASE | re.DOTALL,
)
"""Names of files that macOS, Windows and Linux, their desktops and network file systems create in folders."""


def write_text(text: str, path: str | Path) -> None:
    """Write a text file in UTF-8, whatever the locale; lone surrogates are escaped."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode(errors="backslashreplace"))
