"""What the catalogue answers with: frozen rows, never SQL."""

from __future__ import annotations

from dataclasses import dataclass

from storage.states import AipState

__all__ = [
    "AccountRow",
    "AipRow",
    "AttemptRow",
    "AuditRow",
    "CopyRow",
    "CopyTallyRow",
    "DecisionRow",
    "DeliveryRow",
    "DueCopy",
    "EventRow",
    "FileRow",
    "FormatCount",
    "HoldRow",
    "IngestRow",
    "LeaseRow",
    "NightlyRunRow",
    "PlannedVersionRow",
    "ProgressRow",
    "RemovalRow",
    "SubmissionRow",
    "TallyRow",
    "VersionRow",
]


@dataclass(frozen=True, slots=True)
class AipRow:
    """One AIP as the catalogue knows it. ``files`` and ``bytes`` count the content only.

    ``retain_until`` is a day (ISO 8601) or empty; ``state`` is ``kept`` or ``removed``.
    """

    id: str
    version: str
    title: str
    agreement: str
    agency: str
    external_identifier: str
    content_digest: str
    files: int
    bytes: int
    created: str
    inventory_sha512: str
    retain_until: str = ""
    state: str = AipState.KEPT


@dataclass(frozen=True, slots=True)
class FormatCount:
    """How many files and bytes of one format an AIP holds; ``puid`` may be ``unknown``.

    ``not_valid`` counts those that a tool found to be not valid; ``pages`` and ``seconds`` are the sums
    of what tools read in documents, sound and video.
    """

    puid: str
    name: str
    files: int
    bytes: int
    not_valid: int = 0
    mime: str = ""
    pages: int = 0
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class EventRow:
    """A PREMIS event in short. ``time`` is RFC 3339 in UTC.

    ``store`` is empty for what happened during an ingest, and the AIP itself tells. ``note`` is for people;
    ``payload`` is for a rebuild: what happened as JSON, written and read by ``pipeline.holdings`` and
    ``pipeline.preservation.removal_history`` alone.
    """

    id: str
    type: str
    time: str
    outcome: str
    detail: str
    note: str
    store: str = ""
    payload: str = ""


@dataclass(frozen=True, slots=True)
class IngestRow:
    """One submission's way through; ``report`` is the JSON of the receipt."""

    id: str
    subject: str
    agreement: str
    outcome: str
    aip: str | None
    owner: str
    attempts: int
    started: str
    finished: str | None
    report: str
    agency: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt at a submission: the first is 1. ``finished`` is empty while it runs."""

    number: int
    outcome: str
    owner: str
    started: str
    finished: str
    reason: str
    receipt: str
    run: str


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as people see it: who holds what, for which purpose, since when (RFC 3339)."""

    resource: str
    number: int
    owner: str
    purpose: str
    since: str
    host: str
    live: bool


@dataclass(frozen=True, slots=True)
class PlannedVersionRow:
    """A version that ``store`` is about to commit, known by the SHA-512 of its inventory.

    That is empty while the content is still being written: then no store can have committed it.
    """

    version: str
    inventory_sha512: str
    created: str
    message: str
    store: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One content file of an AIP. ``path`` as the agency named it, ``sha512`` hexadecimal."""

    path: str
    size: int
    puid: str
    sha512: str


@dataclass(frozen=True, slots=True)
class TallyRow:
    """Sums over the AIPs that are kept: of a month, an agency, a format."""

    name: str
    label: str
    mime: str
    aips: int
    files: int
    bytes: int
    not_valid: int
    pages: int
    seconds: int


@dataclass(frozen=True, slots=True)
class CopyTallyRow:
    """How many copies a store holds in a state that were last verified on a day (empty = never)."""

    store: str
    state: str
    day: str
    copies: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SubmissionRow:
    """A submission in a list: an ingest without its report."""

    id: str
    subject: str
    agreement: str
    agency: str
    outcome: str
    aip: str | None
    started: str
    finished: str | None
    run: str


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What a person said about a submission in review; ``found`` is the JSON of what was known then."""

    id: int
    ingest: str
    verdict: str
    person: str
    reason: str
    time: str
    found: str
    journaled: bool = False


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """How far a running ingest is. Totals are 0 and ``seconds_left`` is -1 while they are unknown."""

    id: str
    subject: str
    stage: str
    files: int
    bytes: int
    total_files: int
    total_bytes: int
    seconds_left: int
    owner: str
    started: str
    updated: str


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Somebody who may sign in to the dashboard; ``password`` is a salted hash."""

    name: str
    role: str
    password: str
    created: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery in the drop box; ``id`` is its fingerprint."""

    id: str
    path: str
    agency: str
    outcome: str
    aip: str | None
    owner: str
    attempts: int
    started: str
    finished: str
    reason: str


@dataclass(frozen=True, slots=True)
class NightlyRunRow:
    """One nightly run; ``finished`` is empty while it runs, or when it died. ``report`` is JSON."""

    id: str
    owner: str
    started: str
    finished: str
    report: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of an AIP. ``request`` is the fingerprint of the update that asked for it."""

    version: str
    created: str
    message: str
    inventory_sha512: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class CopyRow:
    """What is known of one copy. ``verified`` is RFC 3339, empty when it never was.

    ``last_checked`` is when it was last read, whatever was found then.
    """

    aip: str
    store: str
    version: str
    verified: str
    state: str
    detail: str
    last_checked: str = ""


@dataclass(frozen=True, slots=True)
class DueCopy:
    """A copy whose turn it is to be audited. ``bytes`` counts the content."""

    aip: str
    store: str
    last_checked: str
    bytes: int


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One audit run; ``finished`` is None while it runs or when it was cut off."""

    id: int
    started: str
    finished: str | None
    planned: int
    done: int
    bytes: int
    wrong: int
    owner: str = ""


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A legal hold: nothing of the AIP may be removed while it stands."""

    aip: str
    reason: str
    person: str
    since: str


@dataclass(frozen=True, slots=True)
class RemovalRow:
    """A removal, asked for by one person and approved by another; empty strings until then."""

    aip: str
    reason: str
    requested_by: str
    requested: str
    approved_by: str
    removed: str
