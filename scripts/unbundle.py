"""Usage: unbundle.py FOLDER   the apps' jars bring old copies of all libraries: only theirs is kept.

A class path of all jars in a folder has no order: of two versions of a class any may be loaded.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

_BUNDLES = ("jhove-apps-", "jhove-ext-modules-", "greenfield-apps-")
_OLD = {"org/verapdf/pdfa/Foundries.class"}
"""What the newer library lacks a method of that the older app calls; nothing else of it differs."""


def _rewrite(jar: Path, keep: Callable[[str], bool]) -> None:
    new = jar.with_suffix(".new")
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as out:
        for name in dict.fromkeys(old.namelist()):
            if not name.endswith("/") and keep(name):
                out.writestr(name, old.read(name))
    new.replace(jar)


def _main(folder: Path) -> None:
    jars = sorted(folder.glob("*.jar"))
    bundles = [jar for jar in jars if jar.name.startswith(_BUNDLES)]
    elsewhere: set[str] = set()
    for jar in jars:
        if jar not in bundles:
            with zipfile.ZipFile(jar) as content:
                names = set(content.namelist())
            if names & _OLD:
                _rewrite(jar, lambda name: name not in _OLD)
            elsewhere |= names - _OLD
    for jar in bundles:
        _rewrite(jar, lambda name: name not in elsewhere)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
