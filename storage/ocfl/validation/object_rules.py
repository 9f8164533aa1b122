"""The rules for an object as it lies in a store: declaration, sidecars, versions, files, bytes."""

from __future__ import annotations

import re
from typing import Any

from packages.digest import MultiHasher
from storage.errors import ObjectMissing
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation.inventory_rules import (
    ALGORITHMS,
    dict_of,
    fixity_digests,
    parse_json,
    paths_of,
    state_of,
    validate_inventory,
    version_number,
)
from storage.ocfl.validation.verdict import ObjectVerdict
from storage.protocol import ListsFolders, ObjectStore, read_all

__all__ = ["REGISTERED_EXTENSIONS", "validate_object"]

REGISTERED_EXTENSIONS = {
    "0001-digest-algorithms", "0002-flat-direct-storage-layout", "0003-hash-and-id-n-tuple-storage-layout",
    "0004-hashed-n-tuple-storage-layout", "0005-mutable-head", "0006-flat-omit-prefix-storage-layout",
    "0007-n-tuple-omit-prefix-storage-layout", "0008-schema-registry", "0009-digest-algorithms",
    "0010-differential-n-tuple-omit-prefix-storage-layout", "0011-direct-clean-path-layout", "initial",
}  # fmt: skip
_DECLARATION = re.compile(r"0=ocfl_object_(1\.[01])")
_SMALL = 1 << 16


def validate_object(store: ObjectStore, root: str) -> ObjectVerdict:
    """Read every byte of the object below ``root`` (``""`` = the whole store) and judge it."""
    return _Judge(store, root).run()


class _Judge:
    """One object; what is needed by more than one rule is read once."""

    def __init__(self, store: ObjectStore, root: str) -> None:
        self._store = store
        self._prefix = f"{root}/" if root else ""
        self._verdict = ObjectVerdict(root)
        self._report = self._verdict.report
        self._keys = {key.removeprefix(self._prefix) for key in store.list(self._prefix)}

    def run(self) -> ObjectVerdict:
        verdict = self._verdict
        self._declaration()
        if INVENTORY not in self._keys:
            self._report("E063", "no root inventory")
            return verdict
        raw = read_all(self._store, self._prefix + INVENTORY)
        self._sidecar("", raw)
        inventory = parse_json(raw, INVENTORY, self._report)
        if inventory is None:
            return verdict
        verdict.inventory = inventory
        verdict.object_id, verdict.head = str(inventory.get("id", "")), str(inventory.get("head", ""))
        validate_inventory(inventory, verdict.spec, self._report)
        earlier = self._version_inventories(raw)
        self._files()
        self._folders()
        self._content([inventory, *earlier])
        return verdict

    def _declaration(self) -> None:
        declared = sorted(key for key in self._keys if key.startswith("0=") and "/" not in key)
        known = [match for key in declared if (match := _DECLARATION.fullmatch(key))]
        if not declared:
            self._report("E003", "no conformance declaration (0=ocfl_object_…)")
        elif len(declared) > 1:
            self._report("E003", f"{len(declared)} conformance declarations")
        elif not known:
            self._report("E004", f"{declared[0]} is no declaration of an OCFL object we know")
        if known:
            self._verdict.spec = max(match.group(1) for match in known)
        for key in declared:
            content = self._small(key)
            if content.rstrip(b"\n") != key.removeprefix("0=").encode() or not content.endswith(b"\n"):
                self._report("E007", f"{key} does not contain its own name and a newline")

    def _small(self, key: str) -> bytes:
        with self._store.open(self._prefix + key) as stream:
            return stream.read(_SMALL)

    def _sidecar(self, folder: str, raw: bytes) -> None:
        pattern = re.compile(rf"{re.escape(folder)}inventory\.json\.([^/]+)")
        found = {key: m.group(1) for key in self._keys if (m := pattern.fullmatch(key))}
        if not found:
            self._report("E058", f"{folder}inventory.json has no digest file")
        for key, name in sorted(found.items()):
            algorithm = ALGORITHMS.get(name)
            match = re.fullmatch(rb"([0-9a-fA-F]+)[ \t]+inventory\.json[ \t]*\r?\n?", self._small(key))
            if match is None or algorithm is None:
                self._report("E061", f"{key} is not “digest inventory.json”")
                continue
            hasher = algorithm.new()
            hasher.update(raw)
            if hasher.hexdigest() != match.group(1).decode().lower():
                self._report("E060", f"{key} does not match the inventory")
        declared = dict_of(self._verdict.inventory).get("digestAlgorithm")
        if isinstance(declared, str) and found and declared not in found.values() and not folder:
            self._report("E058", f"there is no inventory.json.{declared}")

    # -- versions --------------------------------------------------------------------------

    def _version_inventories(self, raw: bytes) -> list[dict[str, Any]]:
        """Judge each version's inventory; the earlier ones that could be read."""
        earlier = []
        for name in dict_of(self._verdict.inventory.get("versions")):
            if version_number(name) is None:
                continue
            key = f"{name}/{INVENTORY}"
            if not any(k.startswith(f"{name}/") for k in self._keys):
                self._report("E010", f"there is no folder of version {name}")
            elif key not in self._keys:
                self._report("W010", f"{name} has no inventory")
            else:
                content = read_all(self._store, self._prefix + key)
                self._sidecar(f"{name}/", content)
                if name == self._verdict.head:
                    if content != raw:
                        self._report("E064", f"{key} differs from the root inventory")
                else:
                    inventory = parse_json(content, key, self._report)
                    if inventory is not None:
                        self._earlier(name, inventory)
                        earlier.append(inventory)
        return earlier

    def _earlier(self, name: str, inventory: dict[str, Any]) -> None:
        newest = self._verdict.inventory
        kind = re.search(r"ocfl\.io/(1\.[01])/", str(inventory.get("type")))
        spec = kind.group(1) if kind else self._verdict.spec
        if spec > self._verdict.spec:
            self._report("E103", f"the inventory of {name} is of a newer OCFL than the object")
        validate_inventory(inventory, spec, lambda code, found: self._report(code, f"{name}: {found}"))
        if inventory.get("head") != name:
            self._report("E040", f"head in the inventory of {name} is {str(inventory.get('head'))[:40]}")
        if inventory.get("id") != newest.get("id"):
            self._report("E037", f"id in the inventory of {name} is another")
        if inventory.get("contentDirectory", "content") != newest.get("contentDirectory", "content"):
            self._report("E019", f"contentDirectory in the inventory of {name} is another")
        for version, block in dict_of(inventory.get("versions")).items():
            now = dict_of(newest.get("versions")).get(version)
            if now is None:
                self._report("E066", f"{version} of {name} is not in the root inventory")
                continue
            if not _same_state(_contents(inventory, block), _contents(newest, now)):
                self._report("E066", f"state of {version} changed since {name}")
            for fact in ("created", "message", "user"):
                if dict_of(block).get(fact) != dict_of(now).get(fact):
                    self._report("W011", f"{fact} of {version} changed since {name}")

    # -- files -----------------------------------------------------------------------------

    def _files(self) -> None:
        directory = self._directory()
        versions = dict_of(self._verdict.inventory.get("versions"))
        for key in sorted(self._keys):
            top, slash, rest = key.partition("/")
            if not slash:
                if not top.startswith("0=") and not re.fullmatch(r"inventory\.json(\.\w+)?", top):
                    self._report("E001", f"unexpected file {key}")
            elif top in versions and version_number(top):
                inner, deeper, _ = rest.partition("/")
                if not deeper and not re.fullmatch(r"inventory\.json(\.\w+)?", inner):
                    self._report("E015", f"unexpected file {key}")
                elif deeper and inner != directory:
                    self._report("W002", f"unexpected folder {top}/{inner}")
            elif top == "extensions":
                self._extension(rest)
            elif top != "logs":
                code = "E046" if version_number(top) else "E001"
                self._report(code, f"unexpected folder {top}")

    def _extension(self, rest: str) -> None:
        name, slash, _ = rest.partition("/")
        if not slash:
            self._report("E067", f"the file extensions/{name} is in no extension's folder")
        elif name not in REGISTERED_EXTENSIONS:
            self._report("W013", f"extension {name} is not registered")

    def _folders(self) -> None:
        """Empty folders, where the store has folders at all."""
        if not isinstance(self._store, ListsFolders):
            return
        directory = self._directory()
        for folder in self._store.empty_folders(self._prefix):
            top, _, rest = folder.removeprefix(self._prefix).rstrip("/").partition("/")
            if version_number(top) is None:
                if top not in ("extensions", "logs"):
                    self._report("E001", f"unexpected folder {top}")
                elif top == "extensions" and rest and rest not in REGISTERED_EXTENSIONS:
                    self._report("W013", f"extension {rest} is not registered")
            elif not rest:
                self._report("E046", f"the folder {top} is empty")
            elif rest == directory:
                self._report("W003", f"{top}/{rest} is empty")
            elif rest.startswith(f"{directory}/"):
                self._report("E024", f"the folder {top}/{rest} is empty")
            else:
                self._report("W002", f"unexpected folder {top}/{rest}")

    def _directory(self) -> str:
        directory = self._verdict.inventory.get("contentDirectory", "content")
        return directory if isinstance(directory, str) else "content"

    # -- bytes -----------------------------------------------------------------------------

    def _content(self, inventories: list[dict[str, Any]]) -> None:
        """Each byte is read once and shown to every algorithm that some inventory names for it."""
        newest = inventories[0]
        own = ALGORITHMS.get(str(newest.get("digestAlgorithm")))
        expected: dict[str, set[tuple[str, str, str]]] = {}
        for inventory in inventories:
            name = str(inventory.get("digestAlgorithm"))
            for digest, paths in dict_of(inventory.get("manifest")).items():
                for path in paths_of(paths):
                    expected.setdefault(path, set()).add(("E092", name, digest.lower()))
            for path, algorithm, digest in fixity_digests(inventory):
                name = next(n for n, a in ALGORITHMS.items() if a is algorithm)
                expected.setdefault(path, set()).add(("E093", name, digest))
        listed = {p for ps in dict_of(newest.get("manifest")).values() for p in paths_of(ps)}
        directory = self._directory()
        for key in sorted(self._keys):
            top, _, rest = key.partition("/")
            if version_number(top) and rest.startswith(f"{directory}/") and key not in listed:
                self._report("E023", f"{key} is not in the manifest")
        for path in sorted(expected):
            if path not in self._keys:
                if path in listed:
                    self._report("E092", f"{path} is missing")
                continue
            self._compare(path, expected[path], own.value if own else "")

    def _compare(self, path: str, expected: set[tuple[str, str, str]], own: str) -> None:
        algorithms = {ALGORITHMS[name] for _, name, _ in expected if name in ALGORITHMS}
        hasher = MultiHasher(algorithms)
        try:
            with self._store.open(self._prefix + path) as stream:
                while chunk := stream.read(1 << 20):
                    hasher.update(chunk)
        except (ObjectMissing, ValueError):
            self._report("E092", f"{path} is missing")
            return
        except OSError as error:
            self._report("E092", f"{path} cannot be read: {error.strerror}")
            return
        found = hasher.hexdigests()
        self._verdict.contents[path] = (
            hasher.size,
            next((digest for algorithm, digest in found.items() if algorithm.value == own), ""),
        )
        for code, name, digest in sorted(expected):
            algorithm = ALGORITHMS.get(name)
            if algorithm and found[algorithm] != digest:
                self._report(code, f"{path} has changed: expected {digest}, found {found[algorithm]}")


def _same_state(earlier: dict[str, frozenset[str]], now: dict[str, frozenset[str]]) -> bool:
    """Whether two inventories mean the same bytes by a version, whatever algorithm each uses.

    A later inventory may know more content paths for the same bytes, so one in common is enough.
    """
    return earlier.keys() == now.keys() and all(
        earlier[path] & now[path] or earlier[path] == now[path] for path in earlier
    )


def _contents(inventory: dict[str, Any], block: Any) -> dict[str, frozenset[str]]:
    """Logical path → the content paths where its bytes are."""
    manifest = {d.lower(): frozenset(paths_of(p)) for d, p in dict_of(inventory.get("manifest")).items()}
    return {
        path: manifest.get(digest, frozenset())
        for digest, paths in state_of(block).items()
        for path in paths
    }
