"""Normalisation of what is kept: the policy names converters, results count only when proved.

The original always stays. What was made becomes a representation of its own in a new version, each
file with a derivation link to its source and an event that says by what and how it was compared.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from packages.aip.layout import PREMIS, SUBMITTED_REPRESENTATION, AipLayout, representation_of
from packages.identifiers import PackageId
from packages.premis.reader import iter_files
from pipeline.archive import Archive
from pipeline.formats.normalise import CONVERTERS
from pipeline.formats.normalise.converter import Converted, Converter
from pipeline.formats.report import rule_for_count
from pipeline.formats.tool import Validity
from pipeline.holdings.aip_reader import AipReader
from pipeline.holdings.leases import WAIT_FOR_PERSON_S, LeasedAip, leased_aip
from pipeline.preservation.added_representation import Derived
from pipeline.preservation.update import Change, update_leased
from pipeline.tools import Toolbox
from storage.catalogue import FormatCount
from storage.errors import Busy, LeaseLost
from storage.ocfl.inventory import InventoryEntry
from storage.scratch import scratch_folder

__all__ = ["Normalised", "Preview", "Sample", "normalise", "preview"]

_BATCH = 20
_NAME = "preservation"


@dataclass(frozen=True, slots=True)
class Sample:
    """One file converted on trial; nothing of it is kept. ``seconds`` it took."""

    aip: str
    path: str
    result: str
    seconds: float
    compared: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What normalisation would do with one format: how much, and (from samples) how long."""

    puid: str
    name: str
    converter: str
    missing: str
    """Why the converter cannot be used here; empty when it can."""
    aips: int
    files: int
    bytes: int
    seconds: float | None
    samples: tuple[Sample, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Normalised:
    """What became of one AIP; ``version`` is empty when nothing was made, ``skipped`` says why it was
    left for another run: somebody else works on it."""

    aip: str
    version: str
    made: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: str = ""


def preview(archive: Archive, samples: int = 1) -> Iterator[Preview]:
    """For every format that the policy wants converted: what is kept of it, and some trials.

    Counts come from the catalogue; only the samples are read from storage.
    """
    for count, aips in archive.catalogue.formats.all():
        name = rule_for_count(count, archive.tools.policy).preserve
        if name:
            yield _preview(archive, count, aips, name, samples)


def _preview(archive: Archive, count: FormatCount, aips: int, name: str, samples: int) -> Preview:
    converter = CONVERTERS.get(name)
    state = converter.state() if converter else None
    missing = state.problem if state else f"there is no converter “{name}”"
    tried: tuple[Sample, ...] = ()
    if converter is not None and not missing:
        tried = tuple(islice(_samples(archive, count.puid, converter), samples))
    seconds = count.files * sum(s.seconds for s in tried) / len(tried) if tried else None
    return Preview(count.puid, count.name, name, missing, aips, count.files, count.bytes, seconds, tried)


def _samples(archive: Archive, puid: str, converter: Converter) -> Iterator[Sample]:
    for aip in archive.catalogue.formats.aips_with([puid]):
        with AipReader(PackageId.parse(aip), archive.repositories) as reader:
            wanted = _wanted(archive, reader, {converter.name}, puid).get(converter.name, [])
            for entry in wanted[:3]:
                yield from _sample(archive, reader, entry, converter)


def _sample(
    archive: Archive, reader: AipReader, entry: InventoryEntry, converter: Converter
) -> Iterator[Sample]:
    with scratch_folder(archive.work) as folder:
        source = _fetched(reader, entry, folder)
        if source is None:
            return
        began = time.perf_counter()
        (done,) = converter.convert([source], folder / "out")
        seconds = time.perf_counter() - began
        result = f"{done.result.stat().st_size} bytes" if done.result else "nothing"
        yield Sample(reader.package.urn, _path(entry), result, seconds, done.compared, done.problems)


def normalise(archive: Archive, aips: Sequence[str], *, person: str, reason: str) -> Iterator[Normalised]:
    """Make what the policy asks for and these AIPs do not have yet, AIP by AIP.

    Raises as ``update_aip``, but an AIP in use is skipped. A file that cannot be converted is named and
    stays as it is.
    """
    for aip in aips:
        try:
            with leased_aip(archive, aip, "normalisation", wait_s=WAIT_FOR_PERSON_S) as leased:
                done = _normalise_one(leased, aip, person=person, reason=reason)
        except (Busy, LeaseLost) as error:
            done = Normalised(aip, "", (), (), skipped=str(error))
        yield done


def _normalise_one(leased: LeasedAip, aip: str, *, person: str, reason: str) -> Normalised:
    archive = leased.archive
    with (
        AipReader(PackageId.parse(aip), archive.repositories) as reader,
        scratch_folder(archive.work) as folder,
    ):
        target = folder / "representation"
        target.mkdir()
        derived, failed = _converted(archive, reader, folder, target)
        if not derived:
            return Normalised(aip, "", (), tuple(failed))
        change = Change(reason, person, representation=target, name=_free_name(reader), derived=derived)
        done = update_leased(leased, aip, change)
    return Normalised(aip, done.version, tuple(derived), tuple(failed))


def _converted(
    archive: Archive, reader: AipReader, folder: Path, target: Path
) -> tuple[dict[str, Derived], list[str]]:
    """What the converters made below ``target``, and what failed with the reason."""
    failed: list[str] = []
    derived: dict[str, Derived] = {}
    for name, entries in _wanted(archive, reader, CONVERTERS.keys()).items():
        converter = CONVERTERS[name]
        problem = converter.state().problem
        if problem:
            failed += [f"{_path(entry)}: {converter.name} cannot be used: {problem}" for entry in entries]
            continue
        for at in range(0, len(entries), _BATCH):
            batch = entries[at : at + _BATCH]
            place = folder / f"{name}-{at}"
            failed += _convert(archive.tools, reader, batch, converter, place, target, derived)
            shutil.rmtree(place, ignore_errors=True)  # the originals of one batch at a time
    return derived, failed


def _convert(
    tools: Toolbox,
    reader: AipReader,
    entries: Sequence[InventoryEntry],
    converter: Converter,
    folder: Path,
    target: Path,
    derived: dict[str, Derived],
) -> list[str]:
    """Convert some files into the new representation; what failed, with the reason."""
    failed: list[str] = []
    sources: dict[Path, InventoryEntry] = {}
    for entry in entries:
        source = _fetched(reader, entry, folder / str(len(sources)))
        if source is None:
            failed.append(f"{_path(entry)}: damaged in every store")
        else:
            sources[source] = entry
    for done in _validated(tools, converter.convert(list(sources), folder / "out")):
        path = _path(sources[done.source])
        if done.result is None:
            failed.append(f"{path}: {'; '.join(done.problems)}")
            continue
        place = target / f"{path}{done.result.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        done.result.rename(place)
        derived[place.relative_to(target).as_posix()] = Derived(path, done.tool, _note(converter, done))
    return failed


def _validated(tools: Toolbox, made: Sequence[Converted]) -> Iterator[Converted]:
    """The results as the validators see them: one that is not valid is none."""
    results = [one.result for one in made if one.result is not None]
    known = list(tools.identifier.identify([str(result) for result in results]))
    examined = list(zip(results, known, strict=True))
    verdicts = iter(tools.validation.check(examined) if tools.validation else ())
    for one in made:
        verdict = next(verdicts, None) if one.result is not None else None
        if verdict is None:
            yield one
        elif verdict.validity is Validity.NOT_VALID:
            said = f"the result is not valid, says {verdict.tool}: {'; '.join(verdict.messages[:3])}"
            yield replace(one, result=None, problems=(*one.problems, said))
        else:
            said = f"{verdict.validity}, by {verdict.tool}" if verdict.tool else "not validated"
            yield replace(one, compared=(*one.compared, said))


def _note(converter: Converter, done: Converted) -> str:
    kind = "lossless" if done.lossless else "not lossless"
    said = [f"{converter.name}, {kind}", *done.compared, *done.problems]
    return "; ".join(said)


def _wanted(
    archive: Archive, reader: AipReader, names: Collection[str], puid: str = ""
) -> dict[str, list[InventoryEntry]]:
    """Files of the first representation by the converter the policy names, where none was made yet.

    ``puid`` restricts it to one format.
    """
    policy = archive.tools.policy
    prefix = AipLayout(reader.package).logical("representations/")
    submitted: dict[str, str] = {}  # only of those that a converter is named for: there may be a million
    have = set()
    for entry in reader.inventory.below(prefix):
        if not entry.logical.endswith(f"/{PREMIS}"):
            continue
        first = entry.logical.startswith(f"{prefix}{SUBMITTED_REPRESENTATION}/")
        with reader.open(entry.logical) as stream:
            for file in iter_files(stream):
                if file.source:
                    have.add(file.source)
                if first and not (puid and file.format.puid != puid):
                    name = policy.rule_for(file.format).preserve
                    if name in names:
                        submitted[file.sha512] = name
    found: dict[str, list[InventoryEntry]] = defaultdict(list)
    for entry in reader.inventory.below(f"{prefix}{SUBMITTED_REPRESENTATION}/data/") if submitted else ():
        converter = submitted.get(entry.sha512)
        if converter is not None and reader.package.child("file", _path(entry)) not in have:
            found[converter].append(entry)
    return found


def _path(entry: InventoryEntry) -> str:
    found = representation_of(entry.logical)
    assert found is not None, "it is below the folder of a representation's files"
    return found[1]


def _fetched(reader: AipReader, entry: InventoryEntry, folder: Path) -> Path | None:
    """A file's bytes under a name of our own, with its extension; None when no copy is whole."""
    suffix = Path(entry.logical).suffix
    place = folder / f"source{suffix if suffix.isascii() else ''}"
    return place if reader.fetch(entry, place) is not None else None


def _free_name(reader: AipReader) -> str:
    prefix = AipLayout(reader.package).logical("representations/")
    taken = {e.logical.removeprefix(prefix).split("/")[0] for e in reader.inventory.below(prefix)}
    number = 1
    while f"{_NAME}-{number}" in taken:
        number += 1
    return f"{_NAME}-{number}"
