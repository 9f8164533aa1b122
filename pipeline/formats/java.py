"""Running programs that are jars: where Java is, and how to start it fast and small."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.formats.tool import ToolError, ToolRun, ToolState, run_tool, state_of_version

__all__ = ["JarProgram"]

_VERSION = r"(\d+\.\d+(?:\.\d+)?)"


class JarProgram:
    """A main class in a folder of jars (``scripts/tools`` makes the folder)."""

    def __init__(
        self, name: str, home: Path | None, main: str, *, oldest: tuple[int, int], heap: str, core: str = ""
    ) -> None:
        """``core``: the jar that judges, where the main class is of another release and names that."""
        self._name = name
        self._home = home
        self._main = main
        self._oldest = oldest
        self._heap = heap
        self._core = core
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
        except ToolError as error:
            return ToolState(self._name, problem=f"it does not start: {error}")
        state = state_of_version(self._name, ran, _VERSION, self._oldest)
        return replace(state, version=self._version_of_core() or state.version)

    def _version_of_core(self) -> str:
        """As the name of its jar says; empty if there is none."""
        if not self._core or self._home is None:
            return ""
        jar = re.compile(rf"{self._core}-{_VERSION}\.jar")
        found = (jar.fullmatch(path.name) for path in self._home.glob("*.jar"))
        return next((match[1] for match in found if match), "")

    def _ask_version(self) -> ToolRun:
        return self.run(["--version"], seconds=60)

    def run(self, words: Sequence[str | Path], *, seconds: float, reads: Sequence[Path] = ()) -> ToolRun:
        """Run it to its end; it reads ``reads`` and its jars. Raises ToolError."""
        java = shutil.which("java") or "java"
        flags = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Xmx{self._heap}"]
        flags += ["-Djava.awt.headless=true", "-Dfile.encoding=UTF-8", "-XX:-UsePerfData"]
        for kind in ("http", "https", "ftp"):  # schemas and DTDs in files are no reason to go online
            flags += [f"-D{kind}.proxyHost=127.0.0.1", f"-D{kind}.proxyPort=9", f"-D{kind}.nonProxyHosts="]
        assert self._home is not None, "looked at by state()"
        with TemporaryDirectory(prefix="stele-", ignore_cleanup_errors=True) as scratch:
            flags += [f"-Djava.io.tmpdir={scratch}", f"-Duser.home={scratch}"]
            command = [java, *flags, "-cp", f"{self._home}/*", self._main, *words]
            return run_tool(command, seconds=seconds, reads=[self._home, *reads], writes=[Path(scratch)])
