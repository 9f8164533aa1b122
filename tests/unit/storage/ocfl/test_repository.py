"""Every rule for objects: one mistake in an otherwise valid object is reported under its code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from ocfl_builder import LETTER, NOTE, SmallObject, memory, sha512

from storage.ocfl.validation import validate_object

_LETTER, _NOTE = sha512(LETTER), sha512(NOTE)


def _v2(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda inventory: change(inventory["versions"]["v2"])


def _state(value: object) -> Callable[[dict[str, Any]], object]:
    return _v2(lambda version: version.update(state=value))


def _fixity(value: object) -> Callable[[dict[str, Any]], object]:
    return lambda inventory: inventory.update(fixity=value)


def _rename(old: str, new: str) -> Callable[[dict[str, Any]], object]:
    def change(inventory: dict[str, Any]) -> None:
        versions = inventory["versions"]
        inventory["versions"] = {new if name == old else name: v for name, v in versions.items()}

    return change


def _manifest(digest: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda inventory: inventory["manifest"].update({digest: value})


def _drop(*names: str) -> Callable[[dict[str, Any]], object]:
    return lambda inventory: [inventory.pop(name) for name in names]


_PATH = ["v1/content/letter.txt"]
_MD5 = hashlib.md5(LETTER).hexdigest()

# A change of the newest inventory (the same in the object root and in v2), and what must be said.
_INVENTORY = [
    ("E008", lambda i: i.update(versions={})),
    ("E009", lambda i: i["versions"].pop("v1")),
    ("E010", _rename("v2", "v3")),
    ("E011", lambda i: (_rename("v1", "v01")(i), _rename("v2", "v10")(i))),
    ("E012", _rename("v2", "v02")),
    ("E012", lambda i: i["versions"].update(v02=i["versions"]["v2"])),
    ("E013", _rename("v2", "v02")),
    ("E014", _manifest(_NOTE, ["v02/content/sub/note.txt"])),
    ("E017", lambda i: i.update(contentDirectory="con/tent")),
    ("E018", lambda i: i.update(contentDirectory="..")),
    ("E018", lambda i: i.update(contentDirectory=".")),
    ("E108", lambda i: i.update(contentDirectory="con/tent")),
    ("E108", lambda i: i.update(contentDirectory="")),
    ("E108", lambda i: i.update(contentDirectory=7)),
    ("E019", lambda i: i.update(contentDirectory="other")),
    ("E025", lambda i: i.update(digestAlgorithm="md5")),
    ("E025", lambda i: i.update(digestAlgorithm=["sha512"])),
    ("E029", _fixity({"sha1": {"zz": _PATH}})),
    ("E030", _fixity({"sha256": {"zz": _PATH}})),
    ("E031", _fixity({"sha512": {"zz": _PATH}})),
    ("E031", _manifest("not hexadecimal", _PATH)),
    ("E032", _fixity({"blake2b-512": {"zz": _PATH}})),
    ("E036", _drop("id")),
    ("E036", _drop("type")),
    ("E036", _drop("digestAlgorithm")),
    ("E036", _drop("head")),
    ("E037", lambda i: i.update(id="")),
    ("E037", lambda i: i.update(id=["urn:x"])),
    ("E037", lambda i: i.update(id="urn:example:other")),
    ("E110", lambda i: i.update(id="urn:example:other")),
    ("E038", lambda i: i.update(type="https://ocfl.io/1.0/spec/#inventory")),
    ("E038", lambda i: i.update(type="https://ocfl.io/9.9/spec/#inventory")),
    ("E038", lambda i: i.update(type=None)),
    ("E039", _manifest("ab" * 32, _PATH)),
    ("E040", lambda i: i.update(head="v1")),
    ("E040", lambda i: i.update(head="v3")),
    ("E040", lambda i: i.update(head="2")),
    ("E040", lambda i: i.update(head=2)),
    ("E041", _drop("manifest")),
    ("E042", _manifest(_NOTE, ["note.txt"])),
    ("E042", _manifest(_NOTE, ["v2/sub/note.txt"])),
    ("E042", _manifest(_NOTE, ["v3/content/sub/note.txt"])),
    ("E043", _drop("versions")),
    ("E044", lambda i: i.update(versions=[])),
    ("E045", lambda i: i.update(versions="v1")),
    ("E046", lambda i: i["versions"].update(v3=i["versions"]["v2"])),
    ("E047", lambda i: i["versions"].update(v2=[])),
    ("E048", _v2(lambda v: v.pop("created"))),
    ("E048", _v2(lambda v: v.pop("state"))),
    ("E049", _v2(lambda v: v.update(created="2024-03-01"))),
    ("E049", _v2(lambda v: v.update(created="2024-03-01T10:00Z"))),
    ("E049", _v2(lambda v: v.update(created="2024-03-01T10:00:00"))),
    ("E049", _v2(lambda v: v.update(created="2023-02-29T10:00:00Z"))),
    ("E049", _v2(lambda v: v.update(created="2024-03-01T10:00:00+25:00"))),
    ("E049", _v2(lambda v: v.update(created="２０２４-03-01T10:00:00Z"))),
    ("E049", _v2(lambda v: v.update(created=20240301))),
    ("E050", _state([])),
    ("E050", _state({"00" * 64: ["a"]})),
    ("E050", _state({_LETTER.upper(): ["letter.txt"]})),
    ("E051", _state({_LETTER: "letter.txt"})),
    ("E051", _state({_LETTER: [1]})),
    ("E052", _state({_LETTER: ["a/../b"]})),
    ("E052", _state({_LETTER: ["a//b"]})),
    ("E052", _state({_LETTER: ["./a"]})),
    ("E052", _state({_LETTER: [""]})),
    ("E053", _state({_LETTER: ["/a"]})),
    ("E053", _state({_LETTER: ["a/"]})),
    ("E054", _v2(lambda v: v.update(user={}))),
    ("E054", _v2(lambda v: v.update(user="me"))),
    ("E054", _v2(lambda v: v.update(user={"name": 1}))),
    ("E055", lambda i: i.update(Fixity={})),
    ("E056", _fixity({"crc32": {"00000000": _PATH}})),
    ("E057", _fixity({"md5": []})),
    ("E057", _fixity({"md5": {_MD5: "v1/content/letter.txt"}})),
    ("E057", _fixity({"md5": {_MD5: [7]}})),
    ("E057", _fixity({"md5": {_MD5: ["v1/content/none.txt"]}})),
    ("E057", _fixity({"md5": {_MD5: _PATH * 2}})),
    ("E057", _fixity({"md5": {"zz": _PATH}})),
    ("E066", lambda i: i["versions"]["v1"].update(state={_LETTER: ["renamed.txt"]})),
    ("E092", _manifest(_LETTER, "v1/content/letter.txt")),
    ("E092", _manifest(_LETTER, [])),
    ("E092", _manifest(_LETTER, ["v1/content/gone.txt"])),
    ("E093", _fixity({"md5": {"00" * 16: _PATH}})),
    ("E093", _fixity({"sha1": {"00" * 20: _PATH}})),
    ("E093", _fixity({"sha256": {"00" * 32: _PATH}})),
    ("E093", _fixity({"sha512": {"00" * 64: _PATH}})),
    ("E093", _fixity({"blake2b-512": {"00" * 64: _PATH}})),
    ("E093", _fixity({"blake2b-384": {"00" * 48: _PATH}})),
    ("E093", _fixity({"blake2b-256": {"00" * 32: _PATH}})),
    ("E093", _fixity({"blake2b-160": {"00" * 20: _PATH}})),
    ("E093", _fixity({"sha512/256": {"00" * 32: _PATH}})),
    ("E093", _fixity({"size": {"14": _PATH}})),
    ("E094", _v2(lambda v: v.update(message=None))),
    ("E094", _v2(lambda v: v.update(message=["x"]))),
    ("E095", _state({_LETTER: ["a", "a"]})),
    ("E095", _state({_LETTER: ["a"], _NOTE: ["a/b"]})),
    ("E096", _manifest(_LETTER.upper(), _PATH)),
    ("E097", _fixity({"md5": {_MD5: _PATH, _MD5.upper(): []}})),
    ("E098", _manifest(_LETTER, [None])),
    ("E099", _manifest(_LETTER, ["v1/content/../letter.txt"])),
    ("E099", _manifest(_LETTER, ["v1/content//letter.txt"])),
    ("E100", _manifest(_LETTER, ["/v1/content/letter.txt"])),
    ("E100", _manifest(_LETTER, ["v1/content/letter.txt/"])),
    ("E101", _manifest(_NOTE, _PATH)),
    ("E101", _manifest(_NOTE, ["v1/content/letter.txt/note"])),
    ("E102", lambda i: i.update(comment="hello")),
    ("E102", _v2(lambda v: v.update(comment="hello"))),
    ("E102", _v2(lambda v: v["user"].update(comment="hello"))),
    ("E104", _rename("v2", "2")),
    ("E105", _rename("v2", "v0")),
    ("E105", _rename("v2", "vtwo")),
    ("E106", lambda i: i.update(manifest=[])),
    ("E106", lambda i: i.update(manifest=None)),
    ("E107", _state({_LETTER: ["letter.txt"]})),
    ("E111", _fixity(None)),
    ("E111", _fixity([])),
    ("W001", lambda i: (_rename("v1", "v01")(i), _rename("v2", "v02")(i))),
    ("W005", lambda i: i.update(id="small")),
    ("W007", _v2(lambda v: v.pop("message"))),
    ("W007", _v2(lambda v: v.pop("user"))),
    ("W008", _v2(lambda v: v["user"].pop("address"))),
    ("W009", _v2(lambda v: v["user"].update(address="tester@example.org"))),
    ("W009", _v2(lambda v: v["user"].update(address=7))),
    ("W011", lambda i: i["versions"]["v1"].update(message="told otherwise later")),
]  # fmt: skip


@pytest.mark.parametrize("spec", ["1.0", "1.1"])
def test_the_object_without_mistakes_is_valid(spec: str) -> None:
    """No finding at all, and the digests of all content are handed on."""
    verdict = SmallObject(spec).verdict()
    assert verdict.problems == []
    assert (verdict.object_id, verdict.head, verdict.spec) == ("urn:example:small", "v2", spec)
    assert verdict.contents == {
        "v1/content/letter.txt": (len(LETTER), _LETTER),
        "v2/content/sub/note.txt": (len(NOTE), _NOTE),
    }
    assert verdict.head_files() == {
        "letter.txt": "v1/content/letter.txt",
        "sub/note.txt": "v2/content/sub/note.txt",
    }


@pytest.mark.parametrize(("code", "change"), _INVENTORY)
def test_mistakes_in_the_inventory(code: str, change: Callable[[dict[str, Any]], object]) -> None:
    """The rule that is broken is named."""
    assert code in SmallObject().edit(change).codes()


# Files to add or replace (None: to remove), and what must be said.
_FILES: list[tuple[str, dict[str, bytes | None]]] = [
    ("E001", {"readme.txt": b""}),
    ("E001", {"photos/a.jpg": b""}),
    ("E001", {"logs": b"a file"}),
    ("E002", {"0=": b""}),
    ("E003", {"0=ocfl_object_1.1": None}),
    ("E003", {"0=ocfl_object_1.0": b"ocfl_object_1.0\n"}),
    ("E004", {"0=ocfl_object_7": b"ocfl_object_7\n"}),
    ("E005", {"1=ocfl_object_1.1": b"ocfl_object_1.1\n"}),
    ("E006", {"0=ocfl_1.1": b"ocfl_1.1\n"}),
    ("E007", {"0=ocfl_object_1.1": b"ocfl_object_1.1"}),
    ("E007", {"0=ocfl_object_1.1": b"ocfl_object_1.1\n\n"}),
    ("E009", {"v1/content/letter.txt": None, "v1/inventory.json": None, "v1/inventory.json.sha512": None}),
    ("E015", {"v1/readme.txt": b""}),
    ("E015", {"v1/inventory.json.sha256": b""}),
    ("E016", {"v2/note.txt": NOTE}),
    ("E023", {"v2/content/stray.txt": b""}),
    ("E033", {"inventory.json": b"{"}),
    ("E033", {"inventory.json": b"[]"}),
    ("E033", {"inventory.json": b'{"id": NaN}'}),
    ("E033", {"inventory.json": "{\"id\": \"é\"}".encode("latin-1")}),
    ("E033", {"inventory.json": b"\xef\xbb\xbf{}"}),
    ("E033", {"inventory.json": b"[" * 100_000}),
    ("E033", {"inventory.json": b'{"id": ' + b"9" * 100_000 + b"}"}),
    ("E033", {"inventory.json": b'{"id": "a", "id": "b"}'}),
    ("E033", {"v1/inventory.json": b"{"}),
    ("E034", {"inventory.json": None, "Inventory.json": b"{}"}),
    ("E046", {"v3/inventory.json": b"{}"}),
    ("E058", {"inventory.json.sha512": None}),
    ("E058", {"v1/inventory.json.sha512": None}),
    ("E059", {"inventory.json.sha512": None, "inventory.json.sha256": b""}),
    ("E060", {"inventory.json.sha512": b"00" * 64 + b" inventory.json\n"}),
    ("E060", {"v1/inventory.json.sha512": b"00" * 64 + b" inventory.json\n"}),
    ("E061", {"inventory.json.sha512": b"00" * 64}),
    ("E061", {"inventory.json.sha512": b"\xff\xfe"}),
    ("E063", {"inventory.json": None}),
    ("E064", {"v2/inventory.json": b"{}"}),
    ("E067", {"extensions/readme.txt": b""}),
    ("E092", {"v1/content/letter.txt": b"Dear office.\n"}),
    ("E092", {"v1/content/letter.txt": None}),
    ("W002", {"v1/other/a.txt": b""}),
    ("W010", {"v1/inventory.json": None, "v1/inventory.json.sha512": None}),
    ("W013", {"extensions/unheard-of/a.txt": b""}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "change"), _FILES)
def test_mistakes_among_the_files(code: str, change: dict[str, bytes | None]) -> None:
    """Files too many, too few, of the wrong name or with the wrong bytes."""
    small = SmallObject()
    if "v2/note.txt" in change:
        small.edit(_manifest(_NOTE, ["v2/note.txt"]))
    for key, content in change.items():
        if content is None:
            del small.files[key]
        else:
            small.files[key] = content
    assert code in small.codes()


# Changes of the inventory that v1 kept, and what must be said.
_FIRST = [
    ("E019", lambda i: i.update(contentDirectory="elsewhere")),
    ("E020", lambda i: i.update(contentDirectory="elsewhere")),
    ("E023", lambda i: i.update(manifest={}, versions={})),
    ("E036", _drop("id")),
    ("E040", lambda i: i.update(head="v2")),
    ("E066", lambda i: i["versions"]["v1"].update(state={_LETTER: ["other.txt"]})),
    ("E066", lambda i: i["versions"].update(v7=i["versions"]["v1"])),
    ("E092", lambda i: i.update(manifest={"00" * 64: _PATH})),
    ("E093", _fixity({"md5": {"00" * 16: _PATH}})),
    ("E110", lambda i: i.update(id="urn:example:other")),
    ("W011", lambda i: i["versions"]["v1"].update(created="2020-01-01T00:00:00Z")),
    ("W011", lambda i: i["versions"]["v1"].update(user={"name": "Somebody else"})),
]  # fmt: skip


@pytest.mark.parametrize(("code", "change"), _FIRST)
def test_mistakes_in_an_earlier_inventory(code: str, change: Callable[[dict[str, Any]], object]) -> None:
    """What a version recorded then is held against what the object says now."""
    assert code in SmallObject().edit_first(change).codes()


def test_a_later_version_may_not_follow_an_earlier_specification() -> None:
    """E103 in OCFL 1.1; 1.0 has no such number, there the type is wrong."""
    later = "https://ocfl.io/1.1/spec/#inventory"
    assert "E103" in SmallObject().edit(
        lambda i: i.update(type="https://ocfl.io/1.0/spec/#inventory")).edit_first(
        lambda i: i.update(type=later)).codes()  # fmt: skip
    assert "E038" in SmallObject("1.0").edit_first(lambda i: i.update(type=later)).codes()


def test_an_object_may_have_moved_to_a_later_specification() -> None:
    """v1 of OCFL 1.0 in an object of OCFL 1.1 is in order."""
    small = SmallObject().edit_first(lambda i: i.update(type="https://ocfl.io/1.0/spec/#inventory"))
    assert small.codes() == set()


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("E046", _rename("v2", "2")),
        ("E041", lambda i: i.update(manifest=[])),
        ("E017", lambda i: i.update(contentDirectory=7)),
        ("E037", lambda i: i.update(id="urn:example:other")),
        ("E056", _fixity(None)),
    ],
)
def test_version_1_0_has_its_own_numbers(code: str, change: Callable[[dict[str, Any]], object]) -> None:
    """No code of OCFL 1.1 is used for an object of OCFL 1.0."""
    codes = SmallObject("1.0").edit(change).codes()
    assert code in codes
    assert not {c for c in codes if c > "E102" and c.startswith("E")}


def test_unused_digests_are_allowed_in_1_0() -> None:
    """E107 came with 1.1."""
    small = SmallObject("1.0").edit(_state({_LETTER: ["letter.txt"]}))
    assert "E107" not in small.codes()


@pytest.mark.parametrize(
    ("block", "code"), [("manifest", "E096"), ("state", "E050"), ("md5", "E097"), ("v1", "E046")]
)
def test_keys_that_occur_twice(block: str, code: str) -> None:
    """JSON that says a thing twice is reported where it does, not silently halved."""
    small = SmallObject().edit(_fixity({"md5": {_MD5: _PATH}}))
    raw = json.dumps(small.newest)
    start = {
        "manifest": f'"manifest": {{"{_LETTER}": ["v1/content/letter.txt"]',
        "state": f'"state": {{"{_LETTER}": ["letter.txt"]',
        "md5": f'"md5": {{"{_MD5}": ["v1/content/letter.txt"]',
        "v1": '"versions": {',
    }[block]
    assert start in raw
    again = start.partition("{")[2] or f'"v1": {json.dumps(small.newest["versions"]["v1"])}'
    raw = raw.replace(start, f"{start}, {again}" if block != "v1" else f"{start}{again}, ", 1)
    small.write("", raw.encode())
    small.write("v2/", raw.encode())
    assert code in small.codes()


def test_content_paths_with_backslashes() -> None:
    """E035: the path would be right with slashes."""
    codes = SmallObject().edit(_manifest(_NOTE, ["v2\\content\\sub\\note.txt"])).codes()
    assert "E035" in codes


def test_sha256_and_a_change_of_algorithm() -> None:
    """An object that changed its algorithm is compared by its files; sha256 is worth a warning."""
    small = SmallObject()
    letter, note = (hashlib.sha256(content).hexdigest() for content in (LETTER, NOTE))
    text = json.dumps(small.newest).replace(_LETTER, letter).replace(_NOTE, note)
    newest = json.loads(text.replace('"sha512"', '"sha256"'))
    for where in ("", "v2/"):
        small.write(where, newest, "sha256")
        del small.files[f"{where}inventory.json.sha512"]
    assert small.codes() == {"W004"}
    newest["versions"]["v1"]["state"] = {note: ["letter.txt"]}
    for where in ("", "v2/"):
        small.write(where, newest, "sha256")
    assert "E066" in small.codes()


def test_every_algorithm_is_computed_in_one_reading() -> None:
    """Each content file is opened once, whatever the fixity block and earlier inventories ask for."""
    fixity = {
        "md5": {_MD5: _PATH},
        "sha1": {hashlib.sha1(LETTER).hexdigest(): _PATH},
        "sha256": {hashlib.sha256(LETTER).hexdigest(): _PATH},
        "sha512": {_LETTER.upper(): _PATH},
        "blake2b-512": {hashlib.blake2b(LETTER).hexdigest(): _PATH},
        "blake2b-160": {hashlib.blake2b(LETTER, digest_size=20).hexdigest(): _PATH},
        "sha512/256": {hashlib.new("sha512_256", LETTER).hexdigest(): _PATH},
        "size": {str(len(LETTER)): _PATH},
    }
    small = SmallObject().edit(_fixity(fixity))
    store = memory(small.files)
    opened: list[str] = []
    original = store.open
    store.open = lambda key: (opened.append(key), original(key))[1]  # type: ignore[method-assign]
    assert validate_object(store, "").problems == []
    assert opened.count("v1/content/letter.txt") == 1


def test_logs_and_registered_extensions_are_allowed() -> None:
    """Both folders may be there, and nothing in them is judged."""
    small = SmallObject()
    small.files |= {"logs/2024.txt": b"", "extensions/0008-schema-registry/a/b.json": b"", }  # fmt: skip
    small.files["extensions/initial/config.json"] = b"not even JSON"
    assert small.codes() == set()
