"""Is everything there, nothing more, and unchanged? (RFC 8493 §3)"""

from __future__ import annotations

import re

from packages import paths
from packages.bag.bag_info import BagInfo
from packages.bag.declaration import Declaration
from packages.bag.manifests import Listing
from packages.bag.tag_files import Report
from packages.problems.catalogue import problem
from packages.worklist import Worklist


def check(
    worklist: Worklist, listing: Listing, declared: Declaration, info: BagInfo, report: Report
) -> None:
    """Completeness, fixity and Payload-Oxum."""
    for name, algorithm in {**listing.payload, **listing.tags}.items():
        if algorithm is None:
            continue
        for path in worklist.absent(name):
            report(problem("BAG-FILE-MISSING", paths.printable(path), expected=name))
        for path, expected, found in worklist.mismatches(name, algorithm):
            report(problem("BAG-DIGEST", paths.printable(path), expected=expected, found=found))
    _unlisted(worklist, listing, declared, report)
    _oxum(worklist, info, report)
    if worklist.totals()[0] == 0:
        report(problem("AGREE-EMPTY"))


def _unlisted(worklist: Worklist, listing: Listing, declared: Declaration, report: Report) -> None:
    checked = [name for name, algorithm in listing.payload.items() if algorithm]
    for name in checked:
        for path, elsewhere in worklist.unlisted(name):
            shown = paths.printable(path)
            if not elsewhere:
                if name == checked[0]:  # what no manifest lists is lacking in each
                    report(problem("BAG-FILE-UNLISTED", shown))
            else:
                # Since 1.0 every manifest lists every file; 0.97 demanded only that one does.
                # An agency that sends two manifests where one is short has a broken process
                # all the same, so it is an error for us in every version from 0.97 on.
                strict = (declared.major, declared.minor) >= (0, 97)
                code = "BAG-MANIFEST-INCOMPLETE" if strict else "BAG-MANIFEST-PARTIAL"
                report(problem(code, shown, expected=name))


def _oxum(worklist: Worklist, info: BagInfo, report: Report) -> None:
    for announced in info.all("Payload-Oxum"):
        match = re.fullmatch(r"(\d{1,18})\.(\d{1,18})", announced.strip())
        if match is None:
            report(problem("BAG-OXUM-FORM", "bag-info.txt", found=announced))
            continue
        files, size = worklist.totals()
        if (int(match.group(1)), int(match.group(2))) != (size, files):
            report(problem("BAG-OXUM", "bag-info.txt", expected=announced.strip(), found=f"{size}.{files}"))
