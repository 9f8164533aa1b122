"""Judging what is stored: OCFL from the outside, the AIP from the inside (``stele store verify``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO

from packages.aip.consistency import AipFile, check_aip
from packages.identifiers import PackageId
from packages.problems.catalogue import problem
from packages.problems.problem import Problem, Severity, by_severity, has_errors
from pipeline.archive import Archive
from pipeline.holdings.leases import WAIT_FOR_PERSON_S, leased_aip
from storage.errors import Busy, LeaseLost, StoreUnavailable
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation import (
    ObjectVerdict,
    Place,
    RootVerdict,
    neither,
    validate_object,
    validate_root,
    what_is_at,
)
from storage.ocfl.validation.verdict import plain
from storage.protocol import ObjectStore
from storage.states import CopyState

__all__ = ["VerifyReport", "verify_archive", "verify_object", "verify_place"]

# The rules that are broken when bytes changed, went or came since they were stored.
_DAMAGE = {"E023", "E092", "E093"}


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The verdict on one copy of one object."""

    object: str
    store: str
    version: str
    outcome: str
    problems: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        """Stable keys of the ``--json`` contract."""
        return {
            "object": self.object,
            "store": self.store,
            "version": self.version,
            "outcome": self.outcome,
            "problems": [problem.as_json() for problem in self.problems],
        }


def verify_archive(archive: Archive, only: PackageId | None) -> Iterator[VerifyReport]:
    """Every copy that was ever made, whatever is known of it, or every place of one AIP.

    Under each AIP's lease, after what a killed update left was finished: what a writer is about to
    commit is no damage. A copy somebody else works on is *unreadable*, with who it is.
    """
    ids = [only.urn] if only else [row.id for row in archive.catalogue.aips.all()]
    for aip in ids:
        copies = archive.catalogue.copies.of(aip)
        promised = {copy.store for copy in copies if copy.state != CopyState.PENDING}
        places = [one for one in archive.repositories if only or one.store.name in promised]
        try:
            with leased_aip(archive, aip, "verification", wait_s=WAIT_FOR_PERSON_S):
                for one in places:
                    yield verify_object(one.store, one.layout.object_root(aip), aip)
        except (Busy, StoreUnavailable, LeaseLost) as error:
            reason = plain(error.reason if isinstance(error, StoreUnavailable) else str(error))
            unreadable = (problem("STORE-UNREADABLE", aip, found=reason),)
            for one in places:
                yield VerifyReport(aip, one.store.name, "", "unreadable", unreadable)


def verify_place(store: ObjectStore) -> Iterator[VerifyReport]:
    """Whatever is in a store: one object, or a storage root with all its objects, ours or foreign."""
    try:
        place = what_is_at(store)
        if place is Place.OBJECT:
            yield verify_object(store, "")
        elif place is Place.NEITHER:
            yield _root_report(store, neither())
        else:
            for verdict in validate_root(store):
                if isinstance(verdict, ObjectVerdict):
                    yield _object_report(store, verdict, [])
                else:
                    yield _root_report(store, verdict)
    except StoreUnavailable as error:
        yield _unreadable(store, store.name, error)


def verify_object(store: ObjectStore, root: str, expected_id: str = "") -> VerifyReport:
    """One object in one store; the inside is judged where it is an AIP of the kind we write."""
    try:
        if store.size(f"{root}/{INVENTORY}" if root else INVENTORY) is None and expected_id:
            missing = problem("STORE-MISSING", root)
            return VerifyReport(expected_id, store.name, "", "missing", (missing,))
        verdict = validate_object(store, root)
        problems = []
        if expected_id and verdict.object_id != expected_id:
            found = problem("METS-OBJID", root, expected=expected_id, found=plain(verdict.object_id))
            problems.append(found)
        return _object_report(store, verdict, problems)
    except StoreUnavailable as error:
        return _unreadable(store, expected_id or root or store.name, error)


def _object_report(store: ObjectStore, verdict: ObjectVerdict, more: list[Problem]) -> VerifyReport:
    # The inside is judged by the bytes themselves, so also when the outside is damaged.
    problems = [*verdict.problems, *more, *_inside(store, verdict)]
    name = plain(verdict.object_id) or verdict.root or store.name
    outcome = _outcome(problems, unreadable=verdict.unreadable)
    return VerifyReport(name, store.name, plain(verdict.head), outcome, by_severity(problems))


def _root_report(store: ObjectStore, verdict: RootVerdict) -> VerifyReport:
    outcome = _outcome(verdict.problems, unreadable=verdict.unreadable)
    return VerifyReport(store.name, store.name, "", outcome, by_severity(verdict.problems))


def _unreadable(store: ObjectStore, name: str, error: StoreUnavailable) -> VerifyReport:
    reason = problem("STORE-UNREADABLE", name, found=plain(error.reason))
    return VerifyReport(name, store.name, "", "unreadable", (reason,))


def _outcome(problems: list[Problem], *, unreadable: bool) -> str:
    errors = {problem.code for problem in problems if problem.severity is Severity.ERROR}
    if errors & _DAMAGE:
        return "damaged"
    if unreadable:
        return "unreadable"
    return "invalid" if has_errors(problems) else "intact"


def _inside(store: ObjectStore, verdict: ObjectVerdict) -> list[Problem]:
    reading = verdict.reading
    if reading is None or reading.algorithm != "sha512":
        return []
    contents = verdict.head_files()
    objid = next(
        (p.split("/")[1] for p in contents if p.startswith("data/uuid-") and p.count("/") > 1), None
    )
    if objid is None:
        return []  # a foreign object
    files = {
        logical: AipFile(*verdict.contents[content])
        for logical, content in contents.items()
        if content in verdict.contents
    }

    def open_file(logical: str) -> AbstractContextManager[BinaryIO]:
        return store.open(f"{verdict.root}/{contents[logical]}" if verdict.root else contents[logical])

    return check_aip(files, open_file, objid)
