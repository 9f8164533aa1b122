"""Several processes that share one nightly run: each claims what it is given, and ends with the run."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from packages.paths import printable
from pipeline.archive import Archive
from pipeline.context import Result
from pipeline.errors import ToolFailed
from pipeline.ingest.run import failed
from pipeline.intake import Delivery, Intake
from stele.intake import build_intake
from stele.logs import keep_log
from stele.processes import die_with_parent
from stele.settings import Settings, load_settings
from stele.wiring import build_archive, choose_agreement

__all__ = ["ProcessExecutor"]

_intake: Intake | None = None  # of a child: opened once, used for every delivery it is given


class ProcessExecutor:
    """So many processes; each has a catalogue's connection and format tools of its own.

    A child that dies costs what was in hand: told as failed, and taken again the next nightly run.
    """

    def __init__(self, settings: Settings, archive: Archive, number: int) -> None:
        self._settings = settings
        self._archive = archive
        self._number = number
        self._pool = self._new_pool()

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(
        self, deliveries: Iterable[Delivery], retried: Collection[str]
    ) -> Iterator[tuple[Delivery, Result | None]]:
        """As many in hand as there are processes: the order stays fair, and nothing waits claimed."""
        waiting = iter(deliveries)
        in_hand: dict[Future[Result | None], Delivery] = {}
        while True:
            while len(in_hand) < self._number and (delivery := next(waiting, None)) is not None:
                in_hand[self._give(delivery, retried)] = delivery
            if not in_hand:
                return
            ended, _ = wait(in_hand, return_when=FIRST_COMPLETED)
            for future in ended:
                delivery = in_hand.pop(future)
                yield delivery, self._result(future, delivery)

    def _give(self, delivery: Delivery, retried: Collection[str]) -> Future[Result | None]:
        try:
            return self._pool.submit(_take, delivery, tuple(retried))
        except BrokenProcessPool:
            self._pool = self._new_pool()
            return self._pool.submit(_take, delivery, tuple(retried))

    def _result(self, future: Future[Result | None], delivery: Delivery) -> Result | None:
        try:
            return future.result()
        except BrokenProcessPool:
            error = ToolFailed("its process died; the next nightly run takes it again")
            default = choose_agreement(self._settings, None)
            return failed(printable(delivery.place), default, self._archive, error)

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._number, mp_context=get_context("spawn"), initializer=_begin,
            initargs=(self._settings.home, self._archive.run),
        )  # fmt: skip


def _begin(home: Path, run: str) -> None:
    """In the child. It ends when its parent does, however that ends."""
    global _intake
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    settings = load_settings(home)
    keep_log(settings.home)
    archive = build_archive(settings, run=run)
    atexit.register(archive.catalogue.close)
    _intake = build_intake(archive, settings)


def _take(delivery: Delivery, retried: tuple[str, ...]) -> Result | None:
    assert _intake is not None
    return _intake.take(delivery, retried)
