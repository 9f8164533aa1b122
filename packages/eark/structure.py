"""The folders of an E-ARK package: CSIPSTR1 to CSIPSTR16 (a MUST is an error, a SHOULD a warning)."""

from __future__ import annotations

from collections.abc import Iterator

from packages.eark.layout import Layout
from packages.mets.rules.engine import csip
from packages.problems.problem import Problem, Severity

__all__ = ["check_folders", "check_top"]

_WARNING = Severity.WARNING
# Rule, folder of the package, and the folder that must be there for the rule to apply.
_FOLDERS = (
    ("CSIPSTR5", "metadata", ""),
    ("CSIPSTR6", "metadata/preservation", "metadata"),
    ("CSIPSTR7", "metadata/descriptive", "metadata"),
    ("CSIPSTR9", "representations", ""),
)
_ANYWHERE = (("CSIPSTR15", "schemas"), ("CSIPSTR16", "documentation"))
"""In the root folder, in a representation, or in both."""
_IN_REPRESENTATION = (("CSIPSTR11", "data"), ("CSIPSTR13", "metadata"))


def check_top(layout: Layout, name: str) -> Iterator[Problem]:
    """CSIPSTR1 and CSIPSTR4: one folder, and METS.xml in it."""
    tops, loose = layout.tops, layout.loose
    if layout.archive and (len(tops) != 1 or loose):
        found = f"the archive must hold one folder, and nothing beside it; it holds {_counted(tops, loose)}"
        yield csip("CSIPSTR1", name, found)
    elif len(layout.roots) > 1:
        yield csip("CSIPSTR1", name, f"there are {len(layout.roots)} packages in it; check one at a time")
    roots = layout.roots or [f"{top}/" for top in tops if layout.archive]
    if not any(f"{root}METS.xml" in layout.mets for root in roots):
        yield csip("CSIPSTR4", name, "there is no METS.xml in the root folder of the package")


def _counted(tops: list[str], loose: list[str]) -> str:
    some = ", ".join([*(f"{top}/" for top in tops), *loose][:5])
    return f"{len(tops)} folder(s) and {len(loose)} file(s): {some}"


def check_folders(layout: Layout, objid: str, name: str) -> Iterator[Problem]:
    """Everything the rules ask of the folders; ``name`` is the root folder's, ``objid`` the METS'."""
    if objid and name != objid:
        found = f"the root folder is not named by the package identifier {objid}"
        yield csip("CSIPSTR2", name, found, _WARNING)
    for code, folder, parent in _FOLDERS:
        if not layout.has(folder) and (not parent or layout.has(parent)):
            yield csip(code, name, f"there is no folder {folder}", _WARNING)
    names = layout.representations
    if layout.has("representations") and not names:
        yield csip("CSIPSTR10", "representations", "the folder holds no representation", _WARNING)
    inside = [f"representations/{name}/" for name in names]
    for code, folder in _ANYWHERE:
        if not any(layout.has(place + folder) for place in ("", *inside)):
            yield csip(code, name, f"there is no folder {folder}", _WARNING)
    for place in inside:
        if f"{layout.root}{place}METS.xml" not in layout.mets:
            yield csip("CSIPSTR12", place, "the representation has no METS.xml", _WARNING)
        for code, folder in _IN_REPRESENTATION:
            if not layout.has(place + folder):
                yield csip(code, place, f"the representation has no folder {folder}", _WARNING)
