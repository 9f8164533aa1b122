"""What was found out about an object or a storage root, under the specification's codes."""

from __future__ import annotations

from dataclasses import dataclass, field

from packages.problems.catalogue import problem, standard_problem
from packages.problems.problem import Problem, Severity
from storage.ocfl.validation.reading import Reading

# Codes that version 1.1 added, and what 1.0 calls the same mistake (None: 1.0 allows it).
_IN_1_0: dict[str, str | None] = {
    "E103": "E038", "E104": "E046", "E105": "E046", "E106": "E041", "E107": None, "E108": "E017",
    "E110": "E037", "E111": "E056", "E112": "E086", "W016": "W013",
}  # fmt: skip


@dataclass(slots=True)
class Verdict:
    """Findings on what lies below ``root``; ``spec`` is the OCFL version it is judged by."""

    root: str
    spec: str = "1.1"
    problems: list[Problem] = field(default_factory=list)
    unreadable: bool = False

    def report(self, code: str, found: str, *, at: str = "") -> None:
        """Add a finding about ``at`` (relative to the root); W codes are warnings, E codes errors."""
        if self.spec == "1.0":
            translated = _IN_1_0.get(code, code)
            if translated is None:
                return
            code = translated
        severity = Severity.WARNING if code.startswith("W") else Severity.ERROR
        self._add(code, found, at, severity)

    def note(self, code: str, found: str, *, at: str = "") -> None:
        """Add what breaks no rule and the reader should know."""
        self._add(code, found, at, Severity.INFO)

    def cannot_read(self, reason: str, *, at: str = "") -> None:
        """Add that the store would not give bytes: then nothing can be said about them."""
        self.unreadable = True
        self.problems.append(problem("STORE-UNREADABLE", self._place(at), found=plain(reason)))

    def _add(self, code: str, found: str, at: str, severity: Severity) -> None:
        standard = f"OCFL {self.spec}"
        self.problems.append(
            standard_problem(
                code, self._place(at), standard=standard, found=plain(found), severity=severity
            )
        )

    def _place(self, at: str) -> str:
        return plain("/".join(part for part in (self.root, at.strip("/")) if part) or "object")


@dataclass(slots=True)
class ObjectVerdict(Verdict):
    """``contents`` maps content paths to (size, digest) of the bytes that were read."""

    declared: str = ""
    """The OCFL version of the declaration; empty when there is none to rely on."""
    object_id: str = ""
    head: str = ""
    reading: Reading | None = None
    contents: dict[str, tuple[int, str]] = field(default_factory=dict)

    def head_files(self) -> dict[str, str]:
        """Logical path → content path of the newest version, as far as the inventory says so."""
        reading = self.reading
        if reading is None:
            return {}
        manifest = {digest.lower(): paths[0] for digest, paths in reading.manifest.items() if paths}
        return {
            logical: manifest[digest.lower()]
            for digest, logicals in reading.states.get(reading.head, {}).items()
            for logical in logicals
            if digest.lower() in manifest
        }


@dataclass(slots=True)
class RootVerdict(Verdict):
    """The storage root itself; its objects have verdicts of their own."""

    objects: int = 0

    def _place(self, at: str) -> str:
        return plain(at.strip("/") or "storage root")


_MAX_SHOWN = 200


def plain(text: str) -> str:
    """Text from a stranger, fit to be printed: no lone surrogates, no line breaks, not endless."""
    encoded = text[:_MAX_SHOWN].encode("utf-8", "backslashreplace").decode("utf-8")
    clean = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in encoded)
    return clean + "…" if len(text) > _MAX_SHOWN else clean
