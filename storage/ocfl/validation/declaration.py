"""The NAMASTE file that says what a folder is: ``0=ocfl_object_1.1`` (§3.2), ``0=ocfl_1.1`` (§4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.errors import ObjectMissing
from storage.ocfl.validation.folder import Folder
from storage.ocfl.validation.verdict import Verdict

KNOWN_SPECS = ("1.0", "1.1")


@dataclass(frozen=True, slots=True)
class DeclarationRules:
    """The same rules have different numbers for objects and for storage roots."""

    prefix: str
    missing: str
    several: str
    namaste: str
    version: str
    tag: str
    kind: str
    content: str


OBJECT = DeclarationRules("ocfl_object_", "E003", "E003", "E002", "E004", "E005", "E006", "E007")
ROOT = DeclarationRules("ocfl_", "E069", "E076", "E075", "E077", "E078", "E079", "E080")


def is_declaration(name: str) -> bool:
    """Whether a file name claims to be a version declaration, a wrong one included."""
    tag, equals, value = name.partition("=")
    return bool(equals) and (tag == "0" or value.startswith("ocfl_"))


def declared_spec(names: Sequence[str], rules: DeclarationRules) -> str:
    """The newest OCFL version that file names declare; empty when none does."""
    return max((v for v in KNOWN_SPECS if f"0={rules.prefix}{v}" in names), default="")


def check_declaration(folder: Folder, verdict: Verdict, rules: DeclarationRules) -> None:
    """Exactly one declaration, well named, containing its own name and a newline."""
    names = [name for name in folder.top_files() if is_declaration(name)]
    good = [name for name in names if _check_name(name, verdict, rules)]
    if not good:
        verdict.report(rules.missing, f"no conformance declaration (0={rules.prefix}1.1)")
    if len(names) > 1:
        verdict.report(rules.several, f"{len(names)} conformance declarations: {', '.join(names)}")
    for name in good:
        wanted = f"{name.removeprefix('0=')}\n".encode()
        try:
            content = folder.read(name, limit=len(wanted) + 1)
        except ObjectMissing:  # it went away while we looked
            content = b""
        if content != wanted:
            verdict.report(rules.content, "does not contain its own name and one newline", at=name)


def _check_name(name: str, verdict: Verdict, rules: DeclarationRules) -> bool:
    tag, _, value = name.partition("=")
    if not value:
        verdict.report(rules.namaste, "is no NAMASTE file: nothing after “=”", at=name)
    elif tag != "0":
        verdict.report(rules.tag, "a version declaration starts with “0=”", at=name)
    elif not value.startswith(rules.prefix):
        verdict.report(rules.kind, f"a version declaration starts with “0={rules.prefix}”", at=name)
    elif value.removeprefix(rules.prefix) not in KNOWN_SPECS:
        verdict.report(rules.version, "declares no published version of OCFL", at=name)
    else:
        return True
    return False
