"""Judging what is stored: OCFL from the outside, the AIP from the inside (``stele store verify``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, BinaryIO

from packages.identifiers import PackageId
from packages.problem import Problem, by_severity, has_errors
from packages.problem_catalogue import problem
from pipeline.aip_check import AipFile, check_aip
from storage.catalogue import Catalogue
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.objects import OcflRepository
from storage.ocfl.validation import ObjectVerdict, validate_object, validate_root
from storage.protocol import ObjectStore

__all__ = ["VerifyReport", "verify_archive", "verify_object", "verify_root"]


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


def verify_archive(
    catalogue: Catalogue, repositories: tuple[OcflRepository, ...], only: PackageId | None
) -> Iterator[VerifyReport]:
    """Every copy the catalogue promises, or those of one AIP."""
    ids = [only.urn] if only else [row.id for row in catalogue.aips()]
    for aip in ids:
        promised = set(catalogue.copies(aip))
        for repository in repositories:
            if only or repository.store.name in promised:
                yield verify_object(repository.store, repository.layout.object_root(aip), aip)


def verify_root(store: ObjectStore) -> Iterator[VerifyReport]:
    """A whole storage root: first what is to be said about itself, then each of its objects."""
    verdict = validate_root(store)
    outcome = "invalid" if has_errors(verdict.problems) else "intact"
    yield VerifyReport("storage root", store.name, "", outcome, by_severity(verdict.problems))
    for root in verdict.objects:
        yield verify_object(store, root)


def verify_object(store: ObjectStore, root: str, expected_id: str = "") -> VerifyReport:
    """One object in one store; the inside is judged where it is an AIP of the kind we write."""
    if store.size(f"{root}/{INVENTORY}" if root else INVENTORY) is None and expected_id:
        missing = problem("STORE-MISSING", root)
        return VerifyReport(expected_id, store.name, "", "missing", (missing,))
    verdict = validate_object(store, root)
    problems = list(verdict.problems)
    if expected_id and verdict.object_id != expected_id:
        found = problem("METS-OBJID", root, expected=expected_id, found=verdict.object_id)
        problems.append(found)
    # The inside is judged by the bytes themselves, so also when the outside is damaged.
    if verdict.head in verdict.inventory.get("versions", {}):
        problems += _inside(store, root, verdict)
    damaged = has_errors(verdict.problems)
    outcome = "damaged" if damaged else "invalid" if has_errors(problems) else "intact"
    return VerifyReport(verdict.object_id or root, store.name, verdict.head, outcome, by_severity(problems))


def _inside(store: ObjectStore, root: str, verdict: ObjectVerdict) -> list[Problem]:
    inventory = verdict.inventory
    if inventory.get("digestAlgorithm") != "sha512":
        return []
    manifest = {digest.lower(): paths[0] for digest, paths in inventory["manifest"].items()}
    contents = {
        logical: manifest[digest.lower()]
        for digest, logicals in inventory["versions"][verdict.head]["state"].items()
        for logical in logicals
        if digest.lower() in manifest
    }
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
        return store.open(f"{root}/{contents[logical]}" if root else contents[logical])

    return check_aip(files, open_file, objid)
