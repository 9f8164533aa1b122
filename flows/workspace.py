"""The workspace a flow works for (``STELE_HOME`` of the worker), and paths below its drop box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.runtime import flow_run

from pipeline.archive import Archive
from pipeline.context import Progress
from pipeline.ingest.progress import Meter, Snapshot
from stele.logs import keep_log
from stele.settings import Settings, find_home, load_settings
from stele.wiring import build_archive
from storage.catalogue import current_owner
from storage.durable import write_durably

__all__ = ["RUNS", "OutsideDropBox", "below_drop_box", "opened", "shown_progress"]

RUNS = "runs"
_SOON, _EVERY = 10.0, 10.0  # seconds: each update is a row in Prefect's database


class OutsideDropBox(ValueError):
    """A delivery is named that does not lie in the drop box."""


@contextmanager
def opened() -> Iterator[tuple[Archive, Settings]]:
    """The archive of this worker's workspace; what it does can be found by this flow run."""
    settings = load_settings(find_home(None))
    keep_log(settings.home)
    run = str(flow_run.get_id() or "")
    archive = build_archive(settings, run=run)
    try:
        with _worked_on(settings, run):
            yield archive, settings
    finally:
        archive.catalogue.close()


@contextmanager
def _worked_on(settings: Settings, run: str) -> Iterator[None]:
    """While it lasts a note says which process works on the run: Prefect itself does not know for sure."""
    if not run:
        yield
        return
    folder = settings.home / RUNS
    folder.mkdir(exist_ok=True)
    note = folder / run
    write_durably((note, current_owner().encode()))
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def below_drop_box(name: str, settings: Settings) -> Path:
    """The path of a delivery. Raises OutsideDropBox, also where a link leads out."""
    box = settings.place(settings.dropbox)
    path = box / name
    if not path.resolve().is_relative_to(box.resolve()) or path.resolve() == box.resolve():
        raise OutsideDropBox(f"“{name}” is not in the drop box")
    return path


def shown_progress(name: str) -> Progress:
    """A progress that a long run shows as an artifact of its flow run."""
    show = _artifact(name)

    def sink(now: Snapshot) -> None:
        share = 100 * now.bytes / now.total_bytes if now.total_bytes else 0.0
        left = f", {now.seconds_left / 60:.1f} min left in this stage" if now.seconds_left >= 0 else ""
        show(
            min(share, 100.0),
            f"{name}: {now.stage}, {now.files:,} files, {now.bytes / 2**20:,.1f} MiB, "
            f"{now.rate / 2**20:,.1f} MiB/s{left}",
        )

    return Meter(sink, first=_SOON, every=_EVERY)


def _artifact(name: str) -> Callable[[float, str], None]:
    made: list[object] = []

    def show(percent: float, text: str) -> None:
        if not made:
            made.append(create_progress_artifact(percent, description=text))
        else:
            update_progress_artifact(made[0], progress=percent, description=text)  # type: ignore[arg-type]

    return show
