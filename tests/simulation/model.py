"""What must hold after every step, and what must be true when all has come to rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from simulation.archive import Setting
from simulation.world import Process, Violation
from storage.catalogue import CopyRow
from storage.ocfl.layout import HashAndIdLayout

__all__ = ["Model"]

_LAYOUT = HashAndIdLayout()
_NAMASTE = "0=ocfl_object_1.1"


class Model:
    """Looks at stores and catalogue from outside, beside the operations."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.world = setting.world
        self.disk = setting.disk
        self._parsed: dict[str, dict[str, Any]] = {}
        self._roots: dict[str, str] = {}
        self._removed: set[str] = set()
        """AIPs whose removal was ever begun: a power cut brings back some of what was deleted."""
        self.world.on_step = self.after_step
        self.world.on_difference = self.after_difference
        self.world.removable = self.removable  # type: ignore[attr-defined]
        self.world.unseen = self.unseen  # type: ignore[attr-defined]

    # -- what an object must consist of ------------------------------------------------------------

    def root(self, aip: str) -> str:
        """Where an AIP is in every store."""
        if aip not in self._roots:
            self._roots[aip] = _LAYOUT.object_root(aip)
        return self._roots[aip]

    def inventory(self, store: str, key: str) -> dict[str, Any] | None:
        """A parsed inventory; None where there is none or it is damaged."""
        medium = self.world.stores[store]
        content, digest = medium.objects.get(key), medium.digests.get(key, "")
        if content is None:
            return None
        if digest not in self._parsed:
            try:
                self._parsed[digest] = json.loads(content)
            except ValueError:
                self._parsed[digest] = {}
        return self._parsed[digest] or None

    def lacks(self, store: str, aip: str, version: str, sha512: str) -> str:
        """What a store lacks of a committed version; empty when it has all. Rot is nobody's fault."""
        medium, root = self.world.stores[store], self.root(aip)
        key = f"{root}/{version}/inventory.json"
        inventory = self.inventory(store, key)
        if inventory is None or medium.digests.get(key) != sha512:
            return "" if key in medium.rotten else f"the inventory of {version}"
        for digest, paths in inventory["manifest"].items():
            for path in paths:
                full = f"{root}/{path}"
                if medium.digests.get(full) != digest and full not in medium.rotten:
                    return path
        return ""

    def head(self, store: str, aip: str) -> int:
        """The number of the newest committed version, 0 for none or a damaged inventory."""
        inventory = self.inventory(store, f"{self.root(aip)}/inventory.json")
        return int(inventory["head"][1:]) if inventory else 0

    # -- asked by stores and catalogue ---------------------------------------------------------------

    def removable(self, key: str, store: str) -> bool:
        """Whether a content object may be deleted without being kept: its AIP is on its way out, or
        no committed version needs it."""
        root, _, below = key.partition("/v")
        aip = unquote(root.rpartition("/")[2])
        version = int(below.partition("/")[0])
        rows = self.disk.rows("SELECT state, version FROM aip WHERE id = ?", aip)
        if rows and rows[0][0] in ("removing", "removed"):
            return True
        if f"{root}/inventory.json" not in self.world.stores[store].objects:
            copies = self.disk.rows("SELECT version FROM copy WHERE aip = ? AND store = ?", aip, store)
            return not copies or not copies[0][0]  # a copy that was never committed here
        known = int(rows[0][1][1:]) if rows else 0
        return version > (self.head(store, aip) or known)

    def unseen(self, process: Process, copy: CopyRow) -> str:
        """What a process that calls a copy verified has not read of it, as it was committed, nor, an
        ingest, written."""
        for key, digest in self._committed(copy):
            if (copy.store, key, digest) not in process.seen:
                return key
        return ""

    def _committed(self, copy: CopyRow) -> Iterator[tuple[str, str]]:
        """(key, SHA-512) of everything that a copy consists of, as the catalogue or the store knows it."""
        root, medium = self.root(copy.aip), self.world.stores[copy.store]
        query = "SELECT version, inventory_sha512 FROM version WHERE aip = ?"
        known = {version: sha512 for version, sha512 in self.disk.rows(query, copy.aip) if sha512}
        known.setdefault(copy.version, medium.digests.get(f"{root}/inventory.json", ""))
        for number in range(1, int(copy.version[1:]) + 1):
            if f"v{number}" in known:
                yield f"{root}/v{number}/inventory.json", known[f"v{number}"]
        newest = known[copy.version]
        for store in self.world.stores if newest not in self._parsed else ():
            self.inventory(store, f"{root}/inventory.json")
        yield f"{root}/inventory.json", newest
        for digest, paths in self._parsed.get(newest, {}).get("manifest", {}).items():
            yield from ((f"{root}/{path}", digest) for path in paths)

    # -- after every step ----------------------------------------------------------------------------

    def after_step(self) -> None:
        """The catalogue claims nothing that a store does not hold, and nothing committed goes."""
        if not self.world.changed or self.world.catalogue_old:
            return  # what an old backup says is not so, until a rebuild has read the stores
        self.world.changed = False
        copies = self.disk.rows(
            "SELECT c.aip, c.store, c.version, c.state, v.inventory_sha512 FROM copy c "
            "JOIN aip a ON a.id = c.aip JOIN version v ON v.aip = c.aip AND v.version = c.version "
            "WHERE a.state = 'kept' AND c.state IN ('verified', 'unverified', 'pending') AND c.version <> ''"
        )
        for aip, store, version, state, sha512 in copies:
            if state == "unverified" and aip in self._removed:
                continue  # a removal cut off by a power cut, met by a rebuild, which resumes it
            missing = self.lacks(store, aip, version, sha512) if sha512 else ""
            if missing:
                raise Violation(
                    f"the catalogue says {state} {version} of {aip[-6:]} in {store}: no {missing}"
                )
            key = f"{self.root(aip)}/inventory.json"
            medium = self.world.stores[store]
            if self.head(store, aip) < int(version[1:]) and key not in medium.rotten:
                raise Violation(f"the head of {aip[-6:]} in {store} went back below {version}")
        self._removed.update(row[0] for row in self.disk.rows("SELECT id FROM aip WHERE state <> 'kept'"))
        for store in self.world.stores:
            self._readers_see_whole_versions(store)
        if not self.world.catalogue_lost:
            self._unfinished_versions_are_planned()

    def _unfinished_versions_are_planned(self) -> None:
        """What lies above an AIP's newest version is known to the catalogue before it is written, and gone
        before the catalogue forgets it: whoever comes next finds it without looking through the stores."""
        rows = self.disk.rows(
            "SELECT id FROM aip WHERE state = 'kept' AND id NOT IN (SELECT aip FROM planned_version)"
        )
        for (aip,) in rows:
            newest = max(self.head(store, aip) for store in self.world.stores)
            above = f"{self.root(aip)}/v{newest + 1}/"
            for store, medium in self.world.stores.items():
                for key in medium.objects:
                    if key.startswith(above) and newest and key not in medium.stale | medium.late:
                        raise Violation(
                            f"{aip[-6:]} in {store}: {key[len(above) - 3 :]} is planned by nobody"
                        )

    def _readers_see_whole_versions(self, store: str) -> None:
        """The root inventory is the commit: whatever it names is there already (OCFL 1.1 §3.5.1)."""
        medium = self.world.stores[store]
        for key in [key for key in medium.objects if key.endswith("/inventory.json") and "/v" not in key]:
            inventory = self.inventory(store, key)
            if inventory is None or key in medium.rotten or inventory["id"] in self._removed:
                continue
            missing = self.lacks(store, inventory["id"], inventory["head"], medium.digests[key])
            if missing:
                raise Violation(f"a reader of {inventory['id'][-6:]} in {store} finds no {missing}")

    def after_difference(self, kind: str, store: str, subject: str) -> None:
        """Reconcile says that a copy is missing only when it is, at the moment it says so."""
        if kind == "not in store" and self.head(store, subject):
            raise Violation(f"reconcile says that {store} has no {subject[-6:]}, and it has")

    def nothing_lies_about(self) -> None:
        """What an interrupted write left of an AIP that is known, its next writer has removed: no sweep
        is needed for it."""
        for aip, state in self.disk.rows("SELECT id, state FROM aip"):
            for store in self.setting.roles:
                if state == "kept":
                    self._nothing_else(store, aip)
            if state == "removed":
                self._gone(aip, sweep_comes=True)

    def _nothing_else(self, store: str, aip: str) -> None:
        inventory = self.inventory(store, f"{self.root(aip)}/inventory.json")
        if inventory is None:
            return
        unknown = self._present(store, aip) - _expected(inventory)
        if unknown:
            raise Violation(f"{aip[-6:]} in {store}: {sorted(unknown)[0]} was left and not removed")

    def _present(self, store: str, aip: str) -> set[str]:
        root = f"{self.root(aip)}/"
        return {key.removeprefix(root) for key in self.world.stores[store].objects if key.startswith(root)}

    # -- at the end ----------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """After recovery: every promise kept, every copy whole, nothing left lying about."""
        kept = dict(self.disk.rows("SELECT id, version FROM aip WHERE state = 'kept'"))
        states = dict(self.disk.rows("SELECT id, state FROM aip"))
        holds = {row[0] for row in self.disk.rows("SELECT aip FROM hold")}
        for kind, aip, detail in self.setting.acknowledged:
            if kind in ("stored", "duplicate") and aip not in states:
                raise Violation(f"{aip[-6:]} was said to be {kind}, and the catalogue has no row of it")
            if kind == "updated" and aip in kept and int(kept[aip][1:]) < int(detail[1:]):
                raise Violation(f"{detail} of {aip[-6:]} was said to be stored; newest is {kept[aip]}")
            if kind == "removed" and states.get(aip) not in ("removed", "kept"):
                raise Violation(f"{aip[-6:]} was said to be removed; it is {states.get(aip)}")
        self._holds_told(holds, states)
        for aip, version in kept.items():
            self._whole(aip, version)
        for aip, state in states.items():
            if state == "removed":
                self._gone(aip)
            if state == "removed" and aip in holds:
                raise Violation(f"a hold stands on {aip[-6:]}, which is removed")
            if state == "removing" and aip not in holds:
                raise Violation(f"the removal of {aip[-6:]} is not resumed")
        left = self.disk.rows("SELECT aip FROM planned_version")
        if left:
            raise Violation(f"planned versions are left: {left}")

    def _holds_told(self, holds: set[str], states: dict[str, str]) -> None:
        last: dict[str, str] = {}
        for kind, aip, _ in self.setting.acknowledged:
            if kind in ("held", "released"):
                last[aip] = kind
            elif kind == "removed" and last.get(aip) == "held" and not self._was_released(aip):
                raise Violation(f"{aip[-6:]} was removed under a hold")
        for aip, kind in last.items():
            if kind == "held" and states.get(aip) == "removed" and not self._was_released(aip):
                raise Violation(f"a hold on {aip[-6:]} was said to stand, and it is removed")
            if kind == "held" and aip not in holds and not self._was_released(aip):
                raise Violation(f"a hold on {aip[-6:]} was said to stand, and does not ({states.get(aip)})")

    def _was_released(self, aip: str) -> bool:
        """A release that was not told to its user, because it died, may have been carried out."""
        return bool(self.disk.rows("SELECT 1 FROM event WHERE aip = ? AND detail LIKE 'hold lifted%'", aip))

    def _whole(self, aip: str, version: str) -> None:
        rows = self.disk.rows("SELECT store, version, state, detail FROM copy WHERE aip = ?", aip)
        found = {store: (v, state, detail) for store, v, state, detail in rows}
        for store in self.setting.roles:
            if found.get(store, ("", "", ""))[:2] != (version, "verified"):
                raise Violation(
                    f"{aip[-6:]} at rest: {store} has {found.get(store)}, not {version} verified"
                )
            medium, root = self.world.stores[store], self.root(aip)
            inventory = self.inventory(store, f"{root}/inventory.json")
            if inventory is None or inventory["head"] != version:
                raise Violation(f"{aip[-6:]} at rest: the head in {store} is not {version}")
            present, expected = self._present(store, aip), _expected(inventory)
            if present != expected:
                raise Violation(
                    f"{aip[-6:]} at rest in {store}: {sorted(present ^ expected)[:3]} too many or few"
                )
            for digest, paths in inventory["manifest"].items():
                for path in paths:
                    if medium.digests[f"{root}/{path}"] != digest:
                        raise Violation(f"{aip[-6:]} at rest in {store}: {path} is damaged")

    def _gone(self, aip: str, *, sweep_comes: bool = False) -> None:
        """What a writer that stood still put after the removal, a sweep takes away: nobody else comes."""
        for store, medium in self.world.stores.items():
            left = [
                key for key in medium.objects
                if key.startswith(f"{self.root(aip)}/") and not (sweep_comes and key in medium.stale)
            ]  # fmt: skip
            if left:
                raise Violation(f"{aip[-6:]} is removed, and {store} still has {left[0]}")


def _expected(inventory: dict[str, Any]) -> set[str]:
    """What an object root holds, by its inventory."""
    names = ("inventory.json", "inventory.json.sha512")
    content = {path for paths in inventory["manifest"].values() for path in paths}
    return content | {_NAMASTE, *names, *(f"{v}/{n}" for v in inventory["versions"] for n in names)}
