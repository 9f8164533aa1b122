"""bag-info.txt (RFC 8493 §2.2.2): bagit parses it, the rules bagit lacks are here."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import bagit

from packages.bag.declaration import Declaration
from packages.bag.tag_files import Report, TagFiles
from packages.problems.catalogue import problem

_MAX_BYTES, _MAX_LINES = 1 << 20, 20_000  # the reader's time grows with their square
# “Label: value”; the draft versions allowed white space before the colon.
_LABEL_V1 = re.compile(r"[^\s:][^:]*(?<!\s): ?.*|[^\s:][^:]*(?<!\s):[ \t]+.*|[^\s:][^:]*(?<!\s):")
_LABEL_DRAFT = re.compile(r"[^\s:][^:]*:.*")
_ODD_LINE_END = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Reserved labels of which the RFC says that they SHOULD or MUST NOT be repeated.
_SINGLE = ("Bagging-Date", "Payload-Oxum", "Bag-Size", "Bag-Count", "Bag-Group-Identifier")


@dataclass(frozen=True, slots=True)
class BagInfo:
    """The fields in order; labels compare without regard to case (RFC 8493 §2.2.2)."""

    fields: tuple[tuple[str, str], ...]

    def all(self, label: str) -> tuple[str, ...]:
        """Every value of a label."""
        return tuple(value for name, value in self.fields if name.lower() == label.lower())

    def first(self, label: str) -> str:
        """The first value, ``""`` if there is none."""
        values = self.all(label)
        return values[0] if values else ""


def file_name(declared: Declaration) -> str:
    """Drafts before 0.96 called it package-info.txt."""
    before_rename = (declared.major, declared.minor) <= (0, 95)
    return "package-info.txt" if before_rename else "bag-info.txt"


def read(tags: TagFiles, declared: Declaration, report: Report) -> BagInfo:
    """The fields, with findings about the file reported."""
    name = file_name(declared)
    if name not in tags:
        report(problem("BAG-INFO-OPTIONAL", name))
        return BagInfo(())
    size = tags.path(name).stat().st_size
    if size > _MAX_BYTES:
        report(problem("BAG-INFO-LARGE", name, expected=f"{_MAX_BYTES:,} bytes", found=f"{size:,} bytes"))
        return BagInfo(())
    well_formed = _check_lines(tags, name, declared, report)
    info = BagInfo(tuple(_parse(tags, name)) if well_formed else ())
    counts = Counter(label.lower() for label, _ in info.fields)
    for label in _SINGLE:
        if counts[label.lower()] > 1:
            found = ", ".join(info.all(label))
            report(problem("BAG-INFO-REPEATED", name, expected=label, found=found))
    for value in info.all("Bagging-Date"):
        if not _is_date(value):
            report(problem("BAG-INFO-DATE", name, expected="YYYY-MM-DD", found=value[:120]))
    return info


def _is_date(value: str) -> bool:
    """RFC 8493 §2.2.2: the date in the form YYYY-MM-DD."""
    with suppress(ValueError):
        return bool(_DATE.fullmatch(value)) and date.fromisoformat(value) is not None
    return False


def _check_lines(tags: TagFiles, name: str, declared: Declaration, report: Report) -> bool:
    well_formed, first = True, True
    pattern = _LABEL_V1 if declared.is_v1 else _LABEL_DRAFT
    for number, line in enumerate(tags.lines(name, report), 1):
        if number > _MAX_LINES:
            found = f"more than {_MAX_LINES:,} lines"
            report(problem("BAG-INFO-LARGE", name, expected=f"{_MAX_LINES:,} lines", found=found))
            return False
        if not line.strip():
            continue
        continuation = line[0] in " \t" and not first
        # Other line ends than CR and LF: readers of bags disagree on them, so fields would get lost.
        odd = _ODD_LINE_END.search(line)
        if odd or (not continuation and not pattern.fullmatch(line)):
            report(problem("BAG-INFO-LABEL", name, found=line[:120]))
            well_formed = False
        first = False
    return well_formed


def _parse(tags: TagFiles, name: str) -> list[tuple[str, str]]:
    """Let bagit read declaration and bag-info in a folder that holds nothing else.

    Its manifests stay outside on purpose: it would keep all of them in memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        for tag in ("bagit.txt", name):
            shutil.copyfile(tags.path(tag), Path(folder, tag))
        try:
            info = bagit.Bag(folder).info
        except Exception:  # bagit uses any codec that is declared, and those raise what they like
            return []  # the declaration is broken; that is reported already
    fields: list[tuple[str, str]] = []
    for label, value in info.items():
        values = value if isinstance(value, list) else [value]
        fields += [(label.strip(), str(single)) for single in values]
    return fields
