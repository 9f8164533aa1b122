"""A bag, read: what its tag files say, and the files that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packages.bag import bag_info, declaration, fetch, manifests, payload
from packages.bag.bag_info import BagInfo
from packages.bag.declaration import Declaration
from packages.bag.manifests import Listing
from packages.bag.tag_files import Report, TagFiles
from packages.worklist import Worklist

__all__ = ["Bag", "read_bag"]


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag as it was handed over (RFC 8493). ``files`` are all there are, ``listing`` its manifests."""

    tags: TagFiles
    declaration: Declaration
    info: BagInfo
    listing: Listing
    files: Worklist


def read_bag(files: Worklist, work: Path, report: Report, *, max_files: int) -> Bag:
    """Read the tag files in ``work`` and apply every rule, in reading order; findings go to ``report``.

    Of a manifest with more than ``max_files`` lines the rest is not read.
    """
    tags = TagFiles(files, work)
    declared = declaration.read(tags, report)
    tags.encoding = declared.encoding
    info = bag_info.read(tags, declared, report)
    listing = manifests.load(tags, files, declared, report, most=max_files)
    fetch.check(tags, files, report)
    payload.check(files, listing, declared, info, report)
    return Bag(tags, declared, info, listing, files)
