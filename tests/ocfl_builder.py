"""Small OCFL objects and storage roots as dictionaries of files, valid until a test edits them."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from storage.memory import MemoryStore
from storage.ocfl.validation import ObjectVerdict, validate_object

Edit = Callable[[dict[str, Any]], object]
LETTER, NOTE = b"Dear office,\n", b"a note\n"


def sha512(content: bytes) -> str:
    """The digest the objects here are addressed with."""
    return hashlib.sha512(content).hexdigest()


def _version(created: str, state: dict[str, list[str]]) -> dict[str, Any]:
    user = {"name": "Tester", "address": "mailto:tester@example.org"}
    return {"created": created, "message": "as received", "user": user, "state": state}


class SmallObject:
    """Two versions: v1 has a letter, v2 adds a note. ``first`` and ``newest`` are the inventories."""

    def __init__(self, spec: str = "1.1", object_id: str = "urn:example:small") -> None:
        letter, note = sha512(LETTER), sha512(NOTE)
        self.first: dict[str, Any] = {
            "id": object_id,
            "type": f"https://ocfl.io/{spec}/spec/#inventory",
            "digestAlgorithm": "sha512",
            "head": "v1",
            "manifest": {letter: ["v1/content/letter.txt"]},
            "versions": {"v1": _version("2024-02-29T10:00:00Z", {letter: ["letter.txt"]})},
        }
        self.newest = copy.deepcopy(self.first)
        self.newest["head"] = "v2"
        self.newest["manifest"][note] = ["v2/content/sub/note.txt"]
        state = {letter: ["letter.txt"], note: ["sub/note.txt"]}
        self.newest["versions"]["v2"] = _version("2024-03-01T10:00:00.5+08:00", state)
        self.files: dict[str, bytes] = {
            f"0=ocfl_object_{spec}": f"ocfl_object_{spec}\n".encode(),
            "v1/content/letter.txt": LETTER,
            "v2/content/sub/note.txt": NOTE,
        }
        self.seal()

    def seal(self) -> SmallObject:
        """Write the inventories as they are now, with right sidecars."""
        self.write("", self.newest)
        self.write("v2/", self.newest)
        self.write("v1/", self.first)
        return self

    def write(self, where: str, inventory: object, algorithm: str = "sha512") -> None:
        """One inventory (bytes are taken as they are) and its sidecar."""
        raw = inventory if isinstance(inventory, bytes) else json.dumps(inventory).encode()
        digest = hashlib.new(algorithm, raw).hexdigest()
        self.files[f"{where}inventory.json"] = raw
        self.files[f"{where}inventory.json.{algorithm}"] = f"{digest} inventory.json\n".encode()

    def edit(self, change: Edit) -> SmallObject:
        """Change the newest inventory, and seal."""
        change(self.newest)
        return self.seal()

    def edit_first(self, change: Edit) -> SmallObject:
        """Change the inventory of v1, and seal."""
        change(self.first)
        return self.seal()

    def verdict(self) -> ObjectVerdict:
        """Judged in memory."""
        return validate_object(memory(self.files), "")

    def codes(self) -> set[str]:
        """The codes of all findings."""
        return {problem.code for problem in self.verdict().problems}


def memory(files: Mapping[str, bytes]) -> MemoryStore:
    """A store that holds these files."""
    store = MemoryStore()
    store.objects.update(files)
    return store


def on_disk(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The same as a folder."""
    for key, content in files.items():
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def storage_root(objects: Mapping[str, SmallObject], spec: str = "1.1") -> dict[str, bytes]:
    """A storage root with objects at the given places."""
    files = {f"0=ocfl_{spec}": f"ocfl_{spec}\n".encode()}
    for root, small in objects.items():
        files |= {f"{root}/{key}": content for key, content in small.files.items()}
    return files
