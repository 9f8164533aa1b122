"""Running programs that are jars: where Java is, and how to start it fast and small."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.formats.tool import Ran, ToolGaveUp, ToolState, run_tool

__all__ = ["JarProgram", "safely_named"]

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class JarProgram:
    """A main class in a folder of jars (``scripts/tools`` makes the folder)."""

    def __init__(
        self, name: str, home: Path | None, main: str, *, oldest: tuple[int, int], heap: str
    ) -> None:
        self._name = name
        self._home = home
        self._main = main
        self._oldest = oldest
        self._heap = heap
        self._state: ToolState | None = None

    def state(self) -> ToolState:
        """Looked at once: Java, the jars, and whether they start."""
        if self._state is None:
            self._state = self._look()
        return self._state

    def _look(self) -> ToolState:
        if self._home is None or not any(self._home.glob("*.jar")):
            return ToolState(self._name, problem="not installed; “make tools” brings it")
        if shutil.which("java") is None:
            return ToolState(self._name, problem="there is no Java to run it")
        try:
            ran = self._ask_version()
        except ToolGaveUp as error:
            return ToolState(self._name, problem=f"it does not start: {error}")
        found = _VERSION.search(ran.stdout.decode("utf-8", "replace") + ran.stderr)
        if not found:
            said = (ran.stderr or ran.stdout.decode("utf-8", "replace")).strip().partition("\n")[0]
            return ToolState(self._name, problem=f"it does not start: {said[:200] or 'it says nothing'}")
        version = found.group(0)
        if (int(found.group(1)), int(found.group(2))) < self._oldest:
            oldest = ".".join(str(part) for part in self._oldest)
            return ToolState(
                self._name, version, f"version {version} is too old; {oldest} or newer is needed"
            )
        return ToolState(self._name, version)

    def _ask_version(self) -> Ran:
        return self.run(["--version"], seconds=60)

    def run(self, words: Sequence[str | Path], *, seconds: float) -> Ran:
        """Run it to its end. Raises ToolGaveUp."""
        java = shutil.which("java") or "java"
        flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Xmx{self._heap}"]
        flags += ["-Djava.awt.headless=true", "-Dfile.encoding=UTF-8"]
        command = ["nice", "-n", "10", java, *flags, "-cp", f"{self._home}/*", self._main, *words]
        return run_tool(command, seconds=seconds)


@contextmanager
def safely_named(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Links with plain names (``0.pdf``, ``1.tif``…) to files with any names, in their order.

    Java reads names in the locale's encoding, and tools take odd ones for options or patterns.
    """
    with tempfile.TemporaryDirectory(prefix="stele-") as folder:
        links = []
        for number, path in enumerate(paths):
            suffix = path.suffix if path.suffix[1:].isalnum() and path.suffix.isascii() else ""
            link = Path(folder, f"{number}{suffix}")
            link.symlink_to(path.absolute())
            links.append(link)
        yield links
