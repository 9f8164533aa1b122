"""fetch.txt (RFC 8493 §2.2.3). We never download: every file it names must be there already."""

from __future__ import annotations

import re

from packages import paths
from packages.bag.tag_files import Report, TagFiles
from packages.problems.catalogue import problem
from packages.worklist import Worklist

_LINE = re.compile(r"(\S+)[ \t]+(\d+|-)[ \t]+(\S.*)")


def check(tags: TagFiles, worklist: Worklist, report: Report) -> None:
    """Report what is missing, malformed or outside; digests are the manifests' business."""
    if "fetch.txt" not in tags:
        return
    complete = True
    for line in tags.lines("fetch.txt", report):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            report(problem("BAG-FETCH-LINE", "fetch.txt", found=line[:160]))
            complete = False
            continue
        path = match.group(3)
        reason = paths.escape_reason(path)
        if reason:
            shown = paths.printable(path)
            report(problem("BAG-FETCH-PATH", "fetch.txt", expected=reason, found=shown))
            complete = False
            continue
        path = paths.normalise(path)
        if not worklist.has(path) and not worklist.has(paths.bag_decode(path)):
            report(problem("BAG-FETCH", path, found=match.group(1)))
            complete = False
    if complete:
        report(problem("BAG-FETCH-PRESENT", "fetch.txt"))
