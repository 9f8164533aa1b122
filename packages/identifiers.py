"""Identifiers of packages, and how one is derived from another."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

_STELE = uuid.uuid5(uuid.NAMESPACE_URL, "https://stele.invalid/ns/package")


@dataclass(frozen=True, slots=True, order=True)
class PackageId:
    """The identity of an AIP or DIP, one UUID in three spellings."""

    uuid: uuid.UUID

    @property
    def urn(self) -> str:
        """The OCFL object id and catalogue key, ``urn:uuid:…``."""
        return self.uuid.urn

    @property
    def objid(self) -> str:
        """METS ``@OBJID`` and folder name, ``uuid-…``: a legal NCName (CSIPSTR2)."""
        return f"uuid-{self.uuid}"

    @classmethod
    def parse(cls, text: str) -> PackageId:
        """Read any of the three spellings.

        Raises ValueError when ``text`` is none of them.
        """
        bare = text.strip().removeprefix("urn:uuid:").removeprefix("uuid-")
        return cls(uuid.UUID(bare))

    def child(self, *names: str) -> str:
        """A stable UUID for a part of this package: a file, an event, a representation."""
        return str(uuid.uuid5(self.uuid, "\x1f".join(names)))

    def __str__(self) -> str:
        return self.urn


@dataclass(frozen=True, slots=True)
class IngestId:
    """One submission's identity: the same records under the same agreement give the same id.

    So running an ingest again finds what the first run left, even with the catalogue lost.
    """

    value: str

    @classmethod
    def derive(cls, *, agreement: str, external_identifier: str, content_digest: str) -> IngestId:
        """Hash the three facts that make two submissions the same."""
        facts = "\x1f".join((agreement, external_identifier, content_digest))
        return cls(hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:40])

    def package_id(self) -> PackageId:
        """The AIP this submission becomes."""
        return PackageId(uuid.uuid5(_STELE, self.value))

    def __str__(self) -> str:
        return self.value
