"""fido in a process of its own: a line of file names in, a line of PUIDs out, both JSON.

Each file gets the PUIDs that fido found and how: ``signature``, ``container``, ``extension`` or
``fail``. fido keeps state and prints, so it answers in a process where neither does harm.
"""

import contextlib
import json
import os
import sys
from importlib.metadata import version
from typing import Any

from fido.fido import Fido

from pipeline.confinement import read_only
from pipeline.formats.worker import MAX_MEMORY_BYTES

# Without names fido 1.6.1 looks for files of signatures that it does not ship.
_FORMATS = ["formats-v109.xml", "format_extensions.xml"]
_CONTAINERS = "container-signature-20200121.xml"


class _Second:
    """The last answer of a Fido."""

    def __init__(self) -> None:
        self.puids: list[str] = []
        self.how = ""
        self._fido = Fido(
            quiet=True,
            handle_matches=self._keep,
            format_files=_FORMATS,
            containersignature_file=_CONTAINERS,
        )

    def _keep(self, _name: str, matches: list[Any], _seconds: float, how: str = "") -> None:
        self.puids = [self._fido.get_puid(format_) for format_, _ in matches]
        self.how = how

    def ask(self, name: str) -> tuple[list[str], str]:
        """PUIDs of one file; nothing when fido breaks on it."""
        self.puids, self.how = [], "fail"
        with contextlib.redirect_stdout(sys.stderr):
            try:
                self._fido.identify_file(name)
            except Exception as error:
                return [], f"failed: {type(error).__name__}"
        return self.puids, self.how


def _main() -> None:
    os.nice(10)
    second, out = _Second(), sys.stdout
    signatures = f"{_FORMATS[0]}; {_CONTAINERS}"
    for line in sys.stdin:
        files = [second.ask(name) for name in json.loads(line)]
        answer = {"version": version("opf-fido"), "signatures": signatures, "files": files}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    read_only(MAX_MEMORY_BYTES)
    _main()
