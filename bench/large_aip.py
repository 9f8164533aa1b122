"""One AIP of many files through all that is done to it: seconds, CPU seconds and memory of each step.

    python bench/large_aip.py --files 20000
    python bench/large_aip.py --files 1000000 --place /dev/shm/large --disk /var/tmp/large

Every file has 12 bytes, all of different content; one more is a picture that the policy wants converted.
Each step runs in a fresh process; “CPU” also counts the two seconds until it has begun. “start” is its
peak once the archive is open, “own” its peak at the end, “child” the peak of the largest process it
started, “all” the most that it and its processes had together (pages they share counted in each). A
second required store is there from “replicate” to “repair”, in which one object has rotted and one is
missing. ``--place`` given again with ``--only`` and ``--keep`` goes on where the last run ended.

``--synthesise`` leaves receive, verify and examine out, which take nearly half of an ingest: the files
are written into the work area and listed as if these stages had ended; all after them is the real thing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from bench_bags import make_bag

from packages.digest import DigestAlgorithm
from packages.identifiers import IngestId, PackageId
from packages.package_file import FileFormat, FileValidation
from packages.worklist import ReceivedFile, Worklist
from pipeline.access.export import export_aip
from pipeline.archive import Archive, run_context
from pipeline.context import Submission
from pipeline.ingest.describe import describe
from pipeline.ingest.examine import ExaminedSip
from pipeline.ingest.receive import ReceivedSip
from pipeline.ingest.register import register
from pipeline.ingest.run import ingest
from pipeline.ingest.store import store
from pipeline.ingest.verify import VerifiedSip
from pipeline.preservation.audit import AuditBudget, audit_one
from pipeline.preservation.normalise import normalise
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.reconcile import reconcile, sweep
from pipeline.preservation.replicate import replicate
from pipeline.preservation.update import Change, update_aip
from stele.settings import FilesStoreSettings, Settings, load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.states import CopyState

_FILE_BYTES = 12
_SAMPLE_SECONDS = 0.5
_GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b")
_TEXT = FileFormat("x-fmt/111", "Plain Text File", "", "text/plain", "text match ASCII", "")
_SOUND = FileValidation("not-validated", "", (), ())
_PICTURE = FileFormat("fmt/3", "Graphics Interchange Format", "87a", "image/gif", "byte match at 0, 6", "")
_DC = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A million records</dc:title></oai_dc:dc>'
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is: the workspace with its first store, and what may be on another disk."""

    place: Path
    disk: Path

    @property
    def home(self) -> Path:
        """The workspace."""
        return self.place / "home"

    @property
    def bag(self) -> Path:
        """The submission; gone after the ingest."""
        return self.disk / "sip"

    @property
    def second(self) -> Path:
        """The folder of the second store."""
        return self.disk / "two"

    @property
    def out(self) -> Path:
        """Where the export goes; gone after it."""
        return self.disk / "out"

    def settings(self, catalogue: str = "catalogue.sqlite") -> Settings:
        """The workspace's settings; with the second store for as long as its folder is there."""
        stores = [FilesStoreSettings(name="one", path=Path("one"))]
        if self.second.exists():
            stores.append(FilesStoreSettings(name="two", path=self.second))
        address = f"sqlite:///{self.home / catalogue}"
        return load_settings(self.home).model_copy(update={"stores": tuple(stores), "catalogue": address})


@dataclass(frozen=True, slots=True)
class Figures:
    """What one step took. Memory in MiB; ``cpu`` is that of the step and all its processes."""

    step: str
    seconds: float
    cpu: float
    start: float
    own: float
    child: float
    together: float
    said: str


@contextmanager
def opened(places: Places, catalogue: str = "catalogue.sqlite") -> Iterator[tuple[Archive, str]]:
    """The archive and its one AIP, if there is one."""
    archive = build_archive(places.settings(catalogue))
    try:
        yield archive, next((row.id for row in archive.catalogue.aips.all()), "")
    finally:
        archive.catalogue.close()


def peak_mib(process: int | str = "self") -> float:
    """The peak of a process's memory; ru_maxrss would begin with that of the parent process."""
    return _status(process).get("VmHWM", 0) / 1024


def _status(process: int | str) -> dict[str, int]:
    """What /proc tells of a process in KiB; nothing of one that is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {name.rstrip(":"): int(rest[0]) for name, *rest in words if rest[1:] == ["kB"]}


def _budget(home: Path, *, repair: bool) -> AuditBudget:
    return AuditBudget(
        timedelta(0), 1 << 60, 1 << 40, 1e9, repair=repair, quarantine=home / "damaged", everything=True
    )


# -- the steps; what is returned is printed behind the figures ------------------------------------


def step_ingest(places: Places, archive: Archive, aip: str) -> str:
    """The bag into the first store."""
    agreement = choose_agreement(places.settings(), None)
    result = ingest(places.bag, agreement, archive)
    assert result.outcome == "stored", (result.outcome, result.reason, result.problems[:3])
    return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.stages.items())


def step_synthesise(places: Places, archive: Archive, aip: str) -> str:
    """An AIP of files that were never received, described and stored as every other."""
    agreement = choose_agreement(places.settings(), None)
    files = int((places.home / "files").read_text())
    ingest_id = IngestId.derive(
        agreement=agreement.name, external_identifier="large", content_digest="0" * 128
    )
    submission = Submission(
        ingest_id, ingest_id.package_id(), "large", "Large", "0" * 128, (), files + 1, files * _FILE_BYTES
    )
    with run_context(places.bag, agreement, archive) as context:
        worklist = Worklist(context.work, ())
        listed = written(context.work / "content", files)
        while batch := list(islice(listed, 1000)):
            worklist.add(batch)
        numbers = range(1, files + 1)
        worklist.set_formats((number, _TEXT) for number in numbers)
        worklist.set_validation((number, _SOUND) for number in numbers)
        worklist.set_formats([(files + 1, _PICTURE)])
        received = ReceivedSip("folder", "", worklist)
        examined = ExaminedSip(VerifiedSip(received, submission), "")
        history = context.report("nothing before")
        planned, said = describe(examined, history, context)
        history.append(said)
        stored, _ = store(planned, archive.stores, context)
        register(stored, history, archive.catalogue, context)
    return submission.package_id.urn


def written(content: Path, files: int) -> Iterator[ReceivedFile]:
    """Files in custody: lines of text, and the picture."""
    for number in range(files + 1):
        last = number == files
        path = "data/picture.gif" if last else f"data/{number // 1000:04d}/record-{number:07d}.txt"
        work = f"{number // 1000:04d}/{number:07d}.{'gif' if last else 'txt'}"
        body = _GIF if last else b"%011d\n" % number
        place = content / work
        if number % 1000 == 0 or last:
            place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)
        digests = {DigestAlgorithm.SHA512: hashlib.sha512(body).hexdigest()}
        yield ReceivedFile(path, path, len(body), 1_700_000_000, work, digests, True, False)


def step_audit(places: Places, archive: Archive, aip: str) -> str:
    """Every byte of the first copy."""
    seen = audit_one(archive, aip, archive.stores[0], _budget(places.home, repair=False)).seen
    assert seen.state is CopyState.VERIFIED, seen
    return f"{seen.objects} objects, {seen.bytes / (1 << 20):.0f} MiB"


def step_export(places: Places, archive: Archive, aip: str) -> str:
    """The AIP as a bag in a folder."""
    done = export_aip(PackageId.parse(aip), archive.repositories, places.out)
    assert not done.problems, done.problems[:3]
    return f"{done.files} files"


def step_replicate(places: Places, archive: Archive, aip: str) -> str:
    """A second copy into a store that is new."""
    (done,) = replicate(archive, archive.stores[1:])
    assert done.made, done
    return done.store


def step_repair(places: Places, archive: Archive, aip: str) -> str:
    """One rotten and one missing object of the second copy, found by the audit and made good."""
    done = audit_one(archive, aip, archive.stores[1], _budget(places.home, repair=True)).repaired
    assert done is not None, "the damage was not found"
    assert (done.state, done.repaired_count) == (CopyState.VERIFIED, 2), done
    return f"{done.repaired_count} objects"


def step_update(places: Places, archive: Archive, aip: str) -> str:
    """One file of descriptive metadata added: version 2."""
    metadata = places.home / "dc.xml"
    metadata.write_text(_DC)
    done = update_aip(aip, Change("benchmark", "B. Archivist", (metadata,)), archive)
    return f"{done.version}, {done.files} new files, {done.bytes / (1 << 20):.0f} MiB"


def step_normalise(places: Places, archive: Archive, aip: str) -> str:
    """The one picture converted: version 3."""
    (done,) = normalise(archive, [aip], person="B. Archivist", reason="benchmark")
    assert done.made, done
    return f"{done.version}, {', '.join(done.made)}"


def step_rebuild(places: Places, archive: Archive, aip: str) -> str:
    """An empty catalogue made again from the first store."""
    assert not aip, "the catalogue is not empty"
    done = list(rebuild(archive))
    assert not [one for one in done if one.problem], done
    (row,) = archive.catalogue.aips.all()
    return f"{row.files} files of {row.version}"


def step_reconcile(places: Places, archive: Archive, aip: str) -> str:
    """Catalogue and store compared."""
    found = list(reconcile(archive))
    assert not found, found
    return "no difference"


def step_sweep(places: Places, archive: Archive, aip: str) -> str:
    """What killed writes left, looked for."""
    found = list(sweep(archive, timedelta(0), remove=True))
    assert not found, found
    return "nothing left over"


STEPS: dict[str, Callable[[Places, Archive, str], str]] = {
    "ingest": step_ingest,
    "synthesise": step_synthesise,
    "audit": step_audit,
    "export": step_export,
    "replicate": step_replicate,
    "repair": step_repair,
    "update": step_update,
    "normalise": step_normalise,
    "rebuild": step_rebuild,
    "reconcile": step_reconcile,
    "sweep": step_sweep,
}


def run_step(places: Places, step: str) -> None:
    """What the fresh process does: one step, and its own figures to the standard output."""
    with opened(places, "rebuilt.sqlite" if step == "rebuild" else "catalogue.sqlite") as (archive, aip):
        start = peak_mib()
        began = time.perf_counter()
        said = STEPS[step](places, archive, aip)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "start": start, "own": peak_mib(), "said": said}))


# -- before and after the steps -------------------------------------------------------------------


def make_submission(places: Places, files: int) -> None:
    """A bag of so many files and a picture."""
    make_bag(places.bag, files, _FILE_BYTES)
    (places.bag / "data" / "picture.gif").write_bytes(_GIF)
    with (places.bag / "manifest-sha512.txt").open("a") as manifest:
        manifest.write(f"{hashlib.sha512(_GIF).hexdigest()}  data/picture.gif\n")


def damage(places: Places) -> None:
    """One object of the second copy with other bytes, one gone; the first copy may be linked to it."""
    content = (path for path in places.second.rglob("record-*") if path.is_file())
    rotten, missing = next(content), next(content)
    good = rotten.read_bytes()
    rotten.unlink()
    rotten.write_bytes(bytes(byte ^ 1 for byte in good))
    missing.unlink()


def before(places: Places, step: str) -> None:
    """What a step finds."""
    if step == "replicate":
        places.second.mkdir(parents=True)
    elif step == "repair":
        damage(places)


def after(places: Places, step: str) -> None:
    """What must not take room any longer."""
    gone = {"ingest": places.bag, "export": places.out, "repair": places.second}.get(step)
    if gone is not None:
        shutil.rmtree(gone)


def in_fresh_process(places: Places, arguments: list[str]) -> tuple[str, float, float, float]:
    """Run this file with these arguments: its output, CPU seconds, peaks of children and of all (MiB)."""
    command = [sys.executable, __file__, "--place", str(places.place), "--disk", str(places.disk)]
    used = _cpu()
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    watch = _Watch(process.pid)
    watch.start()
    said, _ = process.communicate()
    watch.stop()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return said, _cpu() - used, watch.child, watch.together


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch(threading.Thread):
    """Looks at a process and its descendants again and again."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.child = 0.0
        self.together = 0.0
        self._process = process
        self._done = threading.Event()

    def stop(self) -> None:
        """The process has ended."""
        self._done.set()
        self.join()

    def run(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            together = _status(self._process).get("VmRSS", 0) / 1024
            for child in _descendants(self._process):
                status = _status(child)
                self.child = max(self.child, status.get("VmHWM", 0) / 1024)
                together += status.get("VmRSS", 0) / 1024
            self.together = max(self.together, together)


def _descendants(process: int) -> set[int]:
    """Processes that a process started, and those that they started."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
            except OSError:
                continue
            parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found = {process}
    while new := {child for child, parent in parents.items() if parent in found} - found:
        found |= new
    return found - {process}


def measure(places: Places, files: int, steps: list[str]) -> Iterator[Figures]:
    """Make what is not there yet, then step after step."""
    if steps[0] == "ingest":
        in_fresh_process(places, ["--files", str(files), "--step", "submission"])
    for step in steps:
        before(places, step)
        said, cpu, child, together = in_fresh_process(places, ["--step", step])
        answer = json.loads(said)
        after(places, step)
        yield Figures(
            step, answer["seconds"], cpu, answer["start"], answer["own"], child, together, answer["said"]
        )


def main() -> None:
    """Run all steps, or those that were asked for, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--place", type=Path, help="workspace and first store (default: in bench/work)")
    parser.add_argument("--disk", type=Path, help="submission, second store and export (default: PLACE)")
    parser.add_argument("--only", nargs="+", choices=STEPS, help="these steps")
    parser.add_argument("--synthesise", action="store_true", help="instead of an ingest")
    parser.add_argument("--keep", action="store_true", help="leave the AIP for a later run")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    work = Path("bench/work")
    if options.place is None:
        work.mkdir(parents=True, exist_ok=True)
    place = options.place or Path(tempfile.mkdtemp(dir=work))
    places = Places(place.resolve(), (options.disk or place).resolve())
    if options.step == "submission":
        make_submission(places, options.files)
    elif options.step:
        run_step(places, options.step)
    else:
        try:
            left_out = "ingest" if options.synthesise else "synthesise"
            steps = options.only or [step for step in STEPS if step != left_out]
            show(places, options.files, steps, as_json=options.json)
        finally:
            if not options.keep:
                own = [] if options.place else [place]
                for folder in (places.home, places.bag, places.second, places.out, *own):
                    shutil.rmtree(folder, ignore_errors=True)


def show(places: Places, files: int, steps: list[str], *, as_json: bool) -> None:
    """A line for each step as it ends."""
    number = places.home / "files"
    if make_workspace(places.home):
        number.write_text(str(files))
    files = int(number.read_text())
    if not as_json:
        print(f"{files} files of {_FILE_BYTES} bytes on {os.cpu_count()} CPUs; memory in MiB")
        print("step          seconds       CPU  start    own  child    all")
    for figures in measure(places, files, steps):
        if as_json:
            print(json.dumps({"files": files, **asdict(figures)}), flush=True)
        else:
            print(
                f"{figures.step:10} {figures.seconds:10.1f} {figures.cpu:9.1f} {figures.start:6.0f} "
                f"{figures.own:6.0f} {figures.child:6.0f} {figures.together:6.0f}  {figures.said}",
                flush=True,
            )


if __name__ == "__main__":
    main()
