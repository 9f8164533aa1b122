"""What the catalogue says of AIPs, copies and submissions: every state, and whose turn it is."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AipState", "AttemptState", "CopyState", "Outcome"]


class AipState(StrEnum):
    """Whether the archive keeps an AIP."""

    KEPT = "kept"
    REMOVING = "removing"  # two people have agreed and its bytes are going; the next run ends it
    REMOVED = "removed"  # a tombstone and a certificate are left


class CopyState(StrEnum):
    """What is known of one copy of one AIP."""

    VERIFIED = "verified"  # every byte was right when it was last read
    DAMAGED = "damaged"  # some object is not what it must be, or does not belong there
    MISSING = "missing"  # nothing of it is there
    UNREADABLE = "unreadable"  # the store could not be asked; says nothing about the bytes
    UNVERIFIED = "unverified"  # it is there, and has not been read since the catalogue was rebuilt
    PENDING = "pending"  # never written: the store was out of reach, or came later


class Outcome(StrEnum):
    """How a submission ended, and whose turn it is."""

    STORED = "stored"  # nobody's: the archive has custody
    DUPLICATE = "duplicate"  # nobody's: the same content is kept already
    REJECTED = "rejected"  # the agency's
    IN_REVIEW = "in-review"  # an archivist's
    FAILED = "failed"  # ours; the only one that is retried
    ACCEPTABLE = "acceptable"  # the answer of a check: an ingest would succeed


class AttemptState(StrEnum):
    """What the catalogue says of an attempt or a delivery that has no outcome."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"  # its process was gone before it could say how it ended
    DECIDED = "decided"  # somebody has decided about it: the next nightly run takes it again
