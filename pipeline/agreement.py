"""Submission agreements: what an agency and the archive have promised each other, as data.

``schemas/agreement.schema.json`` is exported from these models.
"""

from __future__ import annotations

import json
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from packages.bag.profile_document import profile_mistakes
from pipeline.errors import PipelineError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Party(_Part):
    """An organisation and the person who answers for it."""

    name: str = Field(min_length=1, description="Name of the organisation.")
    identifier: str = Field(default="", description="Its code, for instance its fonds number.")
    responsible: str = Field(default="", description="Who answers for it.")
    email: str = Field(default="", description="Where questions go.")


class BagInfoField(_Part):
    """A bag-info.txt field the agency owes."""

    required: bool = True
    values: tuple[str, ...] = Field(default=(), description="Allowed values; empty = any.")


class Limits(_Part):
    """How large a package may be, and how suspicious an archive may look."""

    max_files: int = Field(default=2_000_000, ge=1, description="Files in one package.")
    max_bytes: int = Field(default=2 << 40, ge=1, description="Bytes in one package, unpacked.")
    max_ratio: float = Field(
        default=200.0, ge=1, description="Unpacked to packed size of one entry, above 1 MiB."
    )
    max_cpu_seconds: float = Field(
        default=300.0,
        ge=1,
        description="CPU seconds to read and judge a package, besides some for each file and megabyte.",
    )
    max_memory: int = Field(
        default=1 << 30, ge=64 << 20, description="Bytes of memory to read and judge a package."
    )


class Formats(_Part):
    """Which formats are welcome. PUIDs as PRONOM writes them."""

    refused: tuple[str, ...] = Field(default=(), description="PUIDs that reject the package.")
    review: tuple[str, ...] = Field(
        default=(), description="PUIDs an archivist decides about; “unknown” for what nobody knows."
    )
    accepted: tuple[str, ...] = Field(default=(), description="PUIDs taken whatever the policy says.")
    not_valid: Literal["reported", "review", "refused"] = Field(
        default="reported", description="What happens to files that a tool finds not valid."
    )
    virus_scan: Literal["optional", "required"] = Field(
        default="optional", description="“required”: a package that was not scanned whole goes to review."
    )
    unidentified_limit: float = Field(
        default=100,
        ge=0,
        le=100,
        description="Percentage of files without a known format above which an archivist decides.",
    )
    preferred: str = Field(default="", description="What to send instead, for the report.")


class Retention(_Part):
    """How long the records must be kept."""

    rule: str = Field(default="permanent", description="The disposal rule's name.")
    until: date | None = Field(default=None, description="Not to be removed before this day.")


class Rights(_Part):
    """What may be done with the records."""

    basis: Literal["copyright", "license", "statute", "institutional policy", "other"] = "other"
    note: str = "No rights information was agreed."
    access: Literal["open", "restricted", "closed"] = "restricted"
    open_from: date | None = Field(default=None, description="When a closed period ends.")

    def closed_on(self, day: date) -> bool:
        """Whether the records may not be seen on that day."""
        return self.access == "closed" and (self.open_from is None or day < self.open_from)


class Agreement(_Part):
    """One submission agreement."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Its short name.")
    version: str = "1"
    agency: Party
    archive: Party = Party(name="The archive")
    bagit_profile: str = Field(
        default="", description="A BagIt profile (JSON), path relative to this file."
    )
    bag_info: dict[str, BagInfoField] = Field(default_factory=dict)
    limits: Limits = Limits()
    formats: Formats = Formats()
    retention: Retention = Retention()
    rights: Rights = Rights()
    required_copies: int = Field(default=1, ge=1, description="Verified copies before custody.")
    review: str = Field(
        default="", description="Why an archivist looks at every package before it is stored; empty = no."
    )
    two_people: bool = Field(
        default=False, description="A package in review is accepted only when two people say so."
    )
    opaque_paths: bool = Field(
        default=False, description="Hide file names in storage keys (they leak titles)."
    )
    profile: dict[str, Any] = Field(default_factory=dict, exclude=True, repr=False)

    def lent_to(self, agency: str) -> Agreement:
        """The same terms for an agency that has no agreement: its records bear its own name."""
        return self.model_copy(update={"agency": self.agency.model_copy(update={"name": agency})})


class AgreementError(PipelineError):
    """The agreement's file is wrong; the message lists every mistake."""


def load_agreement(path: Path) -> Agreement:
    """Read one agreement. Raises AgreementError with all mistakes in one message."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        data.setdefault("name", path.stem)
        if data.get("bagit_profile"):
            data["profile"] = _profile(path.parent / data["bagit_profile"])
        return Agreement.model_validate(data)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()
        )
        raise AgreementError(f"agreement {path}: {mistakes}") from error
    except (OSError, ValueError) as error:
        raise AgreementError(f"agreement {path}: {error}") from error


def _profile(path: Path) -> dict[str, Any]:
    """A BagIt profile. Raises ValueError with every constraint in it that could not be kept to."""
    profile = json.loads(path.read_text("utf-8"))
    mistakes = "; ".join(profile_mistakes(profile))
    if mistakes:
        raise ValueError(f"BagIt profile {path.name}: {mistakes}")
    return dict(profile)


def find_agreement(folders: tuple[Path, ...], name: str) -> Agreement | None:
    """The agreement of this name from the first folder that has it; None if none has.

    Raises AgreementError when its file is wrong.
    """
    for folder in folders:
        path = folder / f"{name}.toml"
        if path.is_file():
            return load_agreement(path)
    return None


if __name__ == "__main__":  # python -m pipeline.agreement > schemas/agreement.schema.json
    sys.stdout.write(json.dumps(Agreement.model_json_schema(), indent=2, ensure_ascii=False) + "\n")
