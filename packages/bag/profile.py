"""The rules of a BagIt profile (1.4.0 and before), applied to a bag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from packages.bag.bag import Bag
from packages.bag.bag_info import BagInfo
from packages.bag.declaration import Declaration
from packages.bag.manifests import Listing
from packages.bag.tag_files import TagFiles
from packages.problems.catalogue import problem
from packages.problems.problem import Problem

__all__ = ["departures"]

_SERIALISATIONS = {
    "zip": {"application/zip"},
    "tar": {"application/tar", "application/x-tar", "application/gzip", "application/x-gzip"},
}


def departures(profile: dict[str, Any], bag: Bag, form: str) -> Iterator[Problem]:
    """Where a bag departs from a profile. ``form`` is what it came as: ``folder``, ``zip`` or ``tar``."""
    rules = _Profile(profile)
    yield from rules.fields(bag.info)
    yield from rules.manifests(bag.listing)
    yield from rules.form(form, bag.declaration)
    yield from rules.tag_files(bag.tags)
    yield from rules.payload(*bag.files.totals())


_OF_BAGIT = re.compile(r"bagit\.txt|bag-info\.txt|fetch\.txt|(tag)?manifest-[a-z0-9]+\.txt")
"""What Tag-Files-Allowed need not list: RFC 8493 and other keys of the profile rule these."""


class _Profile:
    """A BagIt profile (version 1.4.0 and before) as its JSON."""

    def __init__(self, profile: dict[str, Any]) -> None:
        self._profile = profile

    def fields(self, info: BagInfo) -> Iterator[Problem]:
        about = self._profile.get("BagIt-Profile-Info", {})
        wanted, named = about.get("BagIt-Profile-Identifier", ""), info.all("BagIt-Profile-Identifier")
        if wanted and wanted not in named:
            expected = f"BagIt-Profile-Identifier: {wanted} in bag-info.txt"
            said = ", ".join(f"“{value}”" for value in named)
            if said or about.get("BagIt-Profile-Version"):
                yield _broken(expected, said or "it is missing")
            else:  # profiles of before the version was stated were made with tools that did not write it
                yield problem("BAG-PROFILE-UNNAMED", "bag-info.txt", expected=expected)
        for label, rule in self._profile.get("Bag-Info", {}).items():
            values = info.all(label)
            if rule.get("required") and not values:
                yield _broken(f"{label} in bag-info.txt", "it is missing")
            if rule.get("repeatable") is False and len(values) > 1:
                yield _broken(f"{label} once", f"{len(values)} times")
            allowed = rule.get("values") or []
            for value in values:
                if allowed and value not in allowed:
                    yield _broken(f"{label}: {' or '.join(allowed)}", f"“{value}”")

    def manifests(self, listing: Listing) -> Iterator[Problem]:
        for key, names, kind in (
            ("Manifests", listing.payload, "manifest"),
            ("Tag-Manifests", listing.tags, "tagmanifest"),
        ):
            present = {name.split("-", 1)[1].removesuffix(".txt") for name in names}
            for algorithm in self._profile.get(f"{key}-Required", ()):
                if algorithm not in present:
                    yield _broken(f"{kind}-{algorithm}.txt", "it is missing")
            allowed: list[str] = self._profile.get(f"{key}-Allowed") or []
            for algorithm in sorted(present - set(allowed or present)):
                yield _broken(f"only {', '.join(allowed)}", f"{kind}-{algorithm}.txt")

    def tag_files(self, tags: TagFiles) -> Iterator[Problem]:
        profile = self._profile
        if "fetch.txt" in tags and profile.get("Allow-Fetch.txt") is False:
            yield _broken("no fetch.txt", "fetch.txt is there")
        if "fetch.txt" not in tags and profile.get("Fetch.txt-Required"):
            yield _broken("fetch.txt", "it is missing")
        for name in profile.get("Tag-Files-Required", ()):
            if name not in tags:
                yield _broken(f"tag file {name}", "it is missing")
        allowed: list[str] | None = profile.get("Tag-Files-Allowed")
        if allowed is None:
            return
        for name in tags.names():
            if not _OF_BAGIT.fullmatch(name) and not any(fnmatchcase(name, one) for one in allowed):
                yield _broken(f"no tag files but {', '.join(allowed) or 'those of BagIt'}", f"“{name}”")

    def payload(self, files: int, size: int) -> Iterator[Problem]:
        if self._profile.get("Data-Empty") and (files > 1 or size):
            yield _broken("an empty payload (at most one file of 0 bytes)", f"{files} files, {size} bytes")

    def form(self, form: str, declared: Declaration) -> Iterator[Problem]:
        profile = self._profile
        versions = profile.get("Accept-BagIt-Version") or [declared.version]
        if declared.version not in versions:
            yield _broken(f"BagIt {' or '.join(versions)}", declared.version)
        wanted = profile.get("Serialization", "optional")
        if wanted == "required" and form == "folder":
            yield _broken("a packed bag", "a folder")
        if wanted == "forbidden" and form != "folder":
            yield _broken("a folder", f"a {form} archive")
        allowed: list[str] = profile.get("Accept-Serialization") or []
        accepted = set(allowed) or _SERIALISATIONS.get(form, set())
        if form != "folder" and not accepted & _SERIALISATIONS[form]:
            yield _broken(" or ".join(sorted(accepted)), f"a {form} archive")


def _broken(expected: str, found: str) -> Problem:
    return problem("BAG-PROFILE", expected=expected, found=found)
