"""Rules for storage roots: declaration, layout, extensions, the folders on the way to objects."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ocfl_builder import SmallObject, memory, on_disk, storage_root

from packages.problems.problem import Severity
from pipeline.checking.stores import verify_place
from storage.files.store import FileStore
from storage.ocfl.layout import HashAndIdLayout
from storage.ocfl.validation import ObjectVerdict, RootVerdict, validate_root
from storage.protocol import ObjectStore

_ID = "urn:example:small"


def _codes(store: ObjectStore) -> set[str]:
    return {p.code for verdict in validate_root(store) for p in verdict.problems}


def _layout(name: str, **config: object) -> dict[str, bytes]:
    layout = {"extension": name, "description": "a layout"}
    return {
        "ocfl_layout.json": json.dumps(layout).encode(),
        f"extensions/{name}/config.json": json.dumps({"extensionName": name, **config}).encode(),
    }


def test_a_root_without_mistakes_is_valid() -> None:
    """Objects first, the root last; files it does not know are ignored."""
    files = storage_root({"a/b": SmallObject(), "a/c": SmallObject(object_id="urn:example:other")})
    files |= {"ocfl_1.1.md": b"the specification", "notes": b""}
    verdicts = list(validate_root(memory(files)))
    assert [type(v) for v in verdicts] == [ObjectVerdict, ObjectVerdict, RootVerdict]
    assert [v.root for v in verdicts] == ["a/b", "a/c", ""]
    assert not [p for v in verdicts for p in v.problems]


def test_our_own_root_follows_its_layout() -> None:
    """What this software writes is judged like anything else."""
    layout = HashAndIdLayout()
    files = storage_root({layout.object_root(_ID): SmallObject()}) | layout.root_files()
    assert _codes(memory(files)) == set()


_DEFECTS: list[tuple[str, dict[str, bytes | None]]] = [
    ("E069", {"0=ocfl_1.1": None}),
    ("E070", {"ocfl_layout.json": b"{"}),
    ("E070", {"ocfl_layout.json": b"[]"}),
    ("E070", {"ocfl_layout.json": b"\xff\xfe{\x00}\x00"}),
    ("E070", {"ocfl_layout.json": b"[" * 100_000}),
    ("E070", {"ocfl_layout.json": b'{"description": "x"}'}),
    ("E070", {"ocfl_layout.json": b'{"extension": "0002-flat-direct-storage-layout"}'}),
    ("E070", {"ocfl_layout.json": b'{"extension": 7, "description": "x"}'}),
    ("E071", {"ocfl_layout.json": b'{"extension": "0003-hash-and-id", "description": "x"}'}),
    ("E072", {"a/readme.txt": b""}),
    ("E072", {"b/c/readme.txt": b""}),
    ("E075", {"0=": b""}),
    ("E076", {"0=ocfl_1.0": b"ocfl_1.0\n"}),
    ("E077", {"0=ocfl_3": b"ocfl_3\n"}),
    ("E078", {"1=ocfl_1.1": b"ocfl_1.1\n"}),
    ("E079", {"0=oxford_1.1": b"oxford_1.1\n"}),
    ("E080", {"0=ocfl_1.1": b"ocfl_1.1 \n"}),
    ("E082", {"a/b/inner/0=ocfl_object_1.1": b"ocfl_object_1.1\n"}),
    ("E083", _layout("0004-hashed-n-tuple-storage-layout", tupleSize=99)),
    ("E083", _layout("0004-hashed-n-tuple-storage-layout", tupleSize="3")),
    ("E083", _layout("0004-hashed-n-tuple-storage-layout", digestAlgorithm="crc32")),
    ("E083", _layout("0006-flat-omit-prefix-storage-layout")),
    ("E083", _layout("0002-flat-direct-storage-layout")),
    ("E084", {"a/readme.txt": b""}),
    ("E085", {"a/z/readme.txt": b""}),
    ("E088", {"b/c/readme.txt": b""}),
    ("E112", {"extensions/readme.txt": b""}),
    ("W015", {f"top/{k}": v for k, v in SmallObject(object_id="urn:x:top").files.items()}),
    ("W016", {"extensions/unheard-of/a": b""}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "change"), _DEFECTS)
def test_mistakes_of_a_root(code: str, change: dict[str, bytes | None]) -> None:
    """The rule that is broken is named."""
    files = storage_root({"a/b": SmallObject()})
    for key, content in change.items():
        if content is None:
            del files[key]
        else:
            files[key] = content
    assert code in _codes(memory(files))


def test_an_object_of_a_later_specification() -> None:
    """E081: objects may be older than their storage root, not newer."""
    assert "E081" in _codes(memory(storage_root({"a/b": SmallObject("1.1")}, "1.0")))
    assert _codes(memory(storage_root({"a/b": SmallObject("1.0")}, "1.1"))) == set()


def test_extensions_of_a_1_0_root_have_the_numbers_of_1_0() -> None:
    """E112 and W016 came with 1.1."""
    files = storage_root({"a/b": SmallObject("1.0")}, "1.0")
    files |= {"extensions/readme.txt": b"", "extensions/unheard-of/a": b""}
    assert _codes(memory(files)) == {"E086", "W013"}


def test_two_objects_with_one_id() -> None:
    """E037: an id is unique in its storage root."""
    assert "E037" in _codes(memory(storage_root({"a/b": SmallObject(), "a/c": SmallObject()})))


def test_some_objects_out_of_place() -> None:
    """E083 at the object that is elsewhere, W014 for the root that has two patterns."""
    other = SmallObject(object_id="urn:example:other")
    files = storage_root({_ID: SmallObject(), "elsewhere": other})
    files |= _layout("0002-flat-direct-storage-layout")
    by_root = {v.root: {p.code for p in v.problems} for v in validate_root(memory(files))}
    assert by_root == {_ID: set(), "elsewhere": {"E083"}, "": {"W014"}}


def test_a_layout_we_do_not_know_is_no_mistake() -> None:
    """It is noted that places were not checked."""
    files = storage_root({"a/b": SmallObject()}) | _layout("9999-our-own-layout")
    (*_, root) = validate_root(memory(files))
    assert [(p.code, p.severity) for p in root.problems if p.severity is not Severity.WARNING] == [
        ("E071", Severity.INFO)
    ]


def test_an_object_as_content_of_an_object_is_content() -> None:
    """Nobody looks into it, and it is not a second object."""
    small = SmallObject()
    inner = {f"v2/content/copy/{key}": content for key, content in SmallObject().files.items()}
    small.files |= inner
    verdicts = list(validate_root(memory(storage_root({"a/b": small}))))
    assert [v.root for v in verdicts] == ["a/b", ""]
    assert {p.code for p in verdicts[0].problems} == {"E023"}
    assert not verdicts[1].problems


def test_an_object_that_lost_its_declaration_is_judged_as_an_object() -> None:
    """One finding about the object, not one about each of its files."""
    small = SmallObject()
    del small.files["0=ocfl_object_1.1"]
    assert _codes(memory(storage_root({"a/b": small}))) == {"E003"}


def test_keys_that_no_file_system_has() -> None:
    """An object store may hold any key; none of them ends the verification."""
    files = storage_root({"a/b": SmallObject()})
    files |= {"/x": b"", "a//0=ocfl_object_1.1": b"", "c/../d": b"", "a/b/v1/content/": b"", "//": b""}
    files |= {"a/b/v1//content/x": b"", "é/\udcff": b""}
    codes = _codes(memory(files))
    assert {"E001", "E072"} <= codes


def test_empty_folders(tmp_path: Path) -> None:
    """E073 outside of objects; E024, W003, W002, E001 inside; only a store with folders can tell."""
    small = SmallObject()
    folder = on_disk(tmp_path, storage_root({"a/b": small}))
    for name in ("empty", "a/empty", "extensions", "a/b/v1/content/x/y", "a/b/v1/other", "a/b/photos"):
        (folder / name).mkdir(parents=True)
    by_root = {v.root: v.problems for v in validate_root(FileStore(folder))}
    assert {(p.code, p.path) for p in by_root[""]} == {
        ("E073", "empty"), ("E073", "a/empty"), ("E073", "extensions"),
    }  # fmt: skip
    assert {(p.code, p.path) for p in by_root["a/b"]} == {
        ("E024", "a/b/v1/content/x/y"), ("W002", "a/b/v1/other"), ("E001", "a/b/photos"),
    }  # fmt: skip
    assert _codes(memory(storage_root({"a/b": small}))) == set()


def test_an_empty_content_folder(tmp_path: Path) -> None:
    """W003 when a version without new files has one; an empty logs folder is allowed."""
    small = SmallObject()
    letter = next(iter(small.first["manifest"]))
    small.newest["manifest"] = small.first["manifest"]
    small.newest["versions"]["v2"]["state"] = {letter: ["renamed.txt"]}
    del small.seal().files["v2/content/sub/note.txt"]
    folder = on_disk(tmp_path, small.files)
    (folder / "logs").mkdir()
    (folder / "v2/content").mkdir()
    (report,) = verify_place(FileStore(folder, "x"))
    assert ([p.code for p in report.problems], report.outcome) == (["W003"], "intact")


def test_links_are_reported_and_not_followed(tmp_path: Path) -> None:
    """E090 for each; what they point to is never read, and a pipe does not stop the run."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"Dear office,\n")
    folder = on_disk(tmp_path / "root", storage_root({"a/b": SmallObject()}))
    letter = folder / "a/b/v1/content/letter.txt"
    letter.unlink()
    letter.symlink_to(secret)
    (folder / "a/b/v2/content/loop").symlink_to(folder)
    (folder / "c").symlink_to(folder / "a")
    (folder / "a/dangling").symlink_to("nowhere")
    os.mkfifo(folder / "a/b/inventory.json.pipe")
    reports = list(verify_place(FileStore(folder, "x")))
    found = {(p.code, p.path) for r in reports for p in r.problems}
    links = {
        "a/b/v1/content/letter.txt",
        "a/b/v2/content/loop",
        "c",
        "a/dangling",
        "a/b/inventory.json.pipe",
    }
    assert {path for code, path in found if code == "E090"} == links
    assert ("E092", "a/b/v1/content/letter.txt") in found
    assert "damaged" in {r.outcome for r in reports}


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, "intact"),
        ({"v1/content/letter.txt": b"Dear Office,\n"}, "damaged"),
        ({"v1/content/stray": b""}, "damaged"),
        ({"0=ocfl_object_1.1": b""}, "invalid"),
    ],
)
def test_outcomes(change: dict[str, bytes], outcome: str) -> None:
    """Changed or stray bytes are damage, other broken rules are invalid."""
    small = SmallObject()
    small.files |= change
    (report,) = verify_place(memory(small.files))
    assert report.outcome == outcome
    assert set(report.as_json()) == {"object", "store", "version", "outcome", "problems"}


def test_a_place_with_nothing_of_ocfl() -> None:
    """One report that says so for both kinds of place."""
    (report,) = verify_place(memory({"a/b.txt": b""}))
    assert [p.code for p in report.problems] == ["E003", "E063", "E069"]
    assert report.outcome == "invalid"


def test_content_that_cannot_be_read() -> None:
    """A bad sector is neither damage nor a broken rule: the outcome is unreadable."""

    class BadSector(type(memory({}))):  # type: ignore[misc]
        def open(self, key: str) -> object:
            if key.endswith("letter.txt"):
                raise OSError(5, "Input/output error")
            return super().open(key)

    store = BadSector()
    store.objects.update(SmallObject().files)
    (report,) = verify_place(store)
    assert report.outcome == "unreadable"
    assert [p.code for p in report.problems] == ["STORE-UNREADABLE"]


def test_an_inventory_that_cannot_be_read() -> None:
    """The same for the one file without which nothing can be said."""

    class BadSector(type(memory({}))):  # type: ignore[misc]
        def open(self, key: str) -> object:
            if key == "inventory.json":
                raise OSError(5, "Input/output error")
            return super().open(key)

    store = BadSector()
    store.objects.update(SmallObject().files)
    (report,) = verify_place(store)
    assert (report.outcome, len(report.problems)) == ("unreadable", 1)
