"""Stands for the identification of formats where only what happens to the bytes counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from packages.package_file import UNKNOWN_FORMAT


class Unidentified:
    """Stands for Siegfried, whose processes would start anew: of no file the format is known."""

    version, signatures, second = "0", "none", ""

    def identify(self, names: Iterable[str]) -> Iterator[Any]:
        """One answer for each name."""
        return (UNKNOWN_FORMAT for _ in names)

    def submit(self, names: Iterable[str]) -> Future[list[Any]]:
        """The same, later."""
        future: Future[list[Any]] = Future()
        future.set_result(list(self.identify(names)))
        return future

    def close(self) -> None:
        """There is nothing to stop."""
