"""The streamed reading and writing of inventories, judged by the readers that hold them whole."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from large_inventory import large_inventory

from storage.errors import InventoryUnreadable
from storage.ocfl import inventory_index
from storage.ocfl.inventory import Inventory, InventoryEntry, VersionInfo, next_inventory, parse_inventory
from storage.ocfl.inventory_index import InventoryIndex, VersionFacts, next_inventory_parts, read_inventory

_ROOT = Path(__file__).parents[4]
_INFO = VersionInfo("2026-03-01T10:00:00Z", 'new “version”\n\t"quoted"', "Jürgen", "mailto:j@example.org")
_LETTERS = 'abcXYZ019 /.-_"\\\b\f\n\r\t\x00\x01\x1f\x7f\x80é中\u2028\ud7ff\ue000\ufffd😀\U0010ffff'


def _read(content: bytes, **options: Any) -> InventoryIndex:
    return read_inventory(io.BytesIO(content), "k", **options)


def _sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def _small(**changes: object) -> dict[str, Any]:
    digest = _sha512("a")
    document: dict[str, Any] = {
        "digestAlgorithm": "sha512",
        "head": "v1",
        "id": "urn:x",
        "manifest": {digest: ["v1/content/a"]},
        "versions": {"v1": {"created": "2026", "message": "m", "state": {digest: ["a"]}, "user": {}}},
    }
    return {**document, **changes}


def _encode(document: object, **options: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, **options).encode()


def _names(rng: random.Random, count: int) -> list[str]:
    return list({"".join(rng.choices(_LETTERS, k=rng.randint(1, 12))) for _ in range(count)})


def _shuffled(rng: random.Random, members: dict[str, Any]) -> dict[str, Any]:
    keys = list(members)
    rng.shuffle(keys)
    return {key: members[key] for key in keys}


def _random_document(rng: random.Random) -> dict[str, Any]:
    """A valid inventory with all that may be in one: extra members, repeated contents, any order."""
    digests = [_sha512(str(rng.random())) for _ in range(rng.randint(0, 8))]
    if rng.random() < 0.2:
        digests = [rng.choice([digest[:64], f"weird {digest[:9]}"]) for digest in digests]
    mixed = _shuffled if rng.random() < 0.5 else lambda _, members: dict(sorted(members.items()))
    shout = rng.random() < 0.2
    versions: dict[str, Any] = {}
    for number in range(1, rng.choice([2, 3, 13])):
        state: dict[str, list[str]] = {}
        for name in _names(rng, rng.randint(0, 12)):
            if digests:
                digest = rng.choice(digests)
                state.setdefault(digest.upper() if shout else digest, []).append(name)
        block = {
            "created": "2026-01-01T00:00:00Z",
            "message": "".join(rng.choices(_LETTERS, k=5)),
            "state": mixed(rng, state),
            "user": {"address": "https://x", "name": "é", "more": [1, 1.5, None, True, {"a": []}, "\n"]},
        }
        if rng.random() < 0.3:
            del block[rng.choice(["message", "user"])]
        versions[f"v{number}"] = mixed(rng, {**block, "extra": {"deep": [{}, []]}})
    manifest = {
        digest: [f"v1/content/{n}-{i}" for i in range(rng.choice([1, 1, 2]))]
        for n, digest in enumerate(digests)
    }
    document = {
        "contentDirectory": "content",
        "digestAlgorithm": "sha512",
        "fixity": {"md5": {"0" * 32: ["v1/content/0-0"]}},
        "head": f"v{len(versions)}",
        "id": "urn:“x”",
        "manifest": mixed(rng, manifest),
        "versions": mixed(rng, versions),
    }
    if rng.random() < 0.3:
        del document["contentDirectory"]
    return mixed(rng, document)


def _random_bytes(rng: random.Random) -> bytes:
    text = json.dumps(
        _random_document(rng), ensure_ascii=rng.random() < 0.4, indent=rng.choice([None, None, 1, 4])
    )
    return rng.choice([b"", b"\xef\xbb\xbf"]) + text.encode() + rng.choice([b"", b"\n", b" \r\n\t"])


def _sorted_state(inventory: Inventory, version: str | None = None) -> list[InventoryEntry]:
    return sorted(inventory.state(version), key=lambda entry: entry.logical)


def _assert_equal(index: InventoryIndex, inventory: Inventory) -> None:
    assert index.object_id == inventory.object_id
    assert (index.algorithm, index.head) == (inventory.algorithm, inventory.head)
    assert index.content_directory == inventory.content_directory
    assert {facts.name for facts in index.versions} == set(inventory.versions)
    assert list(index.state()) == _sorted_state(inventory)
    assert index.count() == len(list(inventory.state()))
    paths = [(path, digest) for digest, paths in inventory.manifest.items() for path in paths]
    assert list(index.contents()) == sorted(paths)
    for digest, listed in inventory.manifest.items():
        assert index.content_of(digest) == index.content_of(digest.upper()) == listed[0]
        assert all(index.digest_of(path) == digest for path in listed)
    for entry in inventory.state():
        assert index.entry(entry.logical) == entry


@pytest.mark.parametrize("seed", range(60))
def test_random_inventories_read_as_parsed_whole(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its layout and wherever its bytes are cut, an inventory says what json.loads finds in it."""
    rng = random.Random(seed)
    monkeypatch.setattr(inventory_index, "_CHUNK_BYTES", rng.choice([4, 5, 7, 64, 1 << 16]))
    content = _random_bytes(rng)
    with _read(content, size=rng.choice([None, len(content), 1 << 40])) as index:
        _assert_equal(index, parse_inventory(content, "k"))
        assert index.sha512 == hashlib.sha512(content).hexdigest()
        assert index.size == len(content)


@pytest.mark.parametrize("seed", range(30))
def test_every_version_reads_as_parsed_whole(seed: int) -> None:
    """With every_version the state of each version is there, not only the head's."""
    content = _random_bytes(random.Random(seed))
    inventory = parse_inventory(content, "k")
    with _read(content, every_version=True) as index:
        for version, block in inventory.versions.items():
            assert list(index.state(version)) == _sorted_state(inventory, version)
            assert index.count(version) == sum(map(len, block["state"].values()))
            for entry in inventory.state(version):
                assert index.entry(entry.logical, version) == entry


def test_unknown_and_unloaded_versions() -> None:
    """A version that is not there, and one that was not loaded, is a KeyError at once."""
    state = _small()["versions"]["v1"]
    content = _encode(_small(head="v2", versions={"v1": state, "v2": state}))
    with _read(content) as index:
        assert index.count("v2") == 1
        for version in ("v1", "v3"):
            for question in (
                index.state,
                index.count,
                lambda v: index.below("", v),
                lambda v: index.entry("a", v),
            ):
                with pytest.raises(KeyError):
                    question(version)
    with _read(content, every_version=True) as index:
        assert index.count("v1") == 1


def test_version_facts() -> None:
    """What a version block lacks or says in another type than text is empty text."""
    versions = {
        "v1": {"created": "c", "message": "m", "state": {}, "user": {"name": "n", "address": "a"}},
        "v2": {"created": 5, "message": ["m"], "state": {}, "user": "n"},
        "v3": {"state": {}, "user": {"name": None, "address": {"a": 1}}},
        "v4": None,
        "v5": {"state": {}},
    }
    with _read(_encode(_small(head="v5", versions=versions))) as index:
        assert index.versions == (
            VersionFacts("v1", "c", "m", "n", "a"),
            *(VersionFacts(f"v{number}", "", "", "", "") for number in (2, 3, 4, 5)),
        )


def test_v10_comes_after_v9() -> None:
    """Versions are in the order of their numbers, whatever the order in the file."""
    block = _small()["versions"]["v1"]
    names = [f"v{number}" for number in (10, 2, 1, 11, 9, 3, 4, 5, 6, 7, 8)]
    with _read(_encode(_small(head="v11", versions=dict.fromkeys(names, block)))) as index:
        assert [facts.name for facts in index.versions] == [f"v{number}" for number in range(1, 12)]


def test_below_a_prefix() -> None:
    """Exactly the paths that start with the prefix come, in code-point order."""
    rng = random.Random(1)
    names = [*_names(rng, 300), "a", "a/", "a/b", "a/\U0010ffff", "a0", "a/b/c", "\U0010ffff\U0010ffff"]
    digest = _sha512("a")
    content = _encode(_small(versions={"v1": {"state": {digest: sorted(set(names), key=hash)}}}))
    with _read(content) as index:
        for prefix in (
            "",
            "a",
            "a/",
            "a/b",
            "\x00",
            "é",
            "\U0010ffff",
            "中",
            "no such",
            '"',
            "\ud800",
            "a\udc80",
        ):
            expected = sorted(name for name in set(names) if name.startswith(prefix))
            assert [entry.logical for entry in index.below(prefix)] == expected


def test_what_is_not_there() -> None:
    """Paths and digests that the inventory lacks are None, also those that no UTF-8 can hold."""
    with _read(_encode(_small())) as index:
        for name in ("", "b", "A", "a\x00", "\udc80"):
            assert index.entry(name) is None
            assert index.digest_of(name) is None
            assert index.content_of(name) is None
        assert index.content_of(_sha512("b")) is None


def test_several_iterators_at_once() -> None:
    """A question asked in the middle of an answer disturbs neither."""
    digests = [_sha512(str(number)) for number in range(50)]
    state = {digest: [f"{number:02}"] for number, digest in enumerate(digests)}
    manifest = {digest: [f"v1/content/{number:02}"] for number, digest in enumerate(digests)}
    with _read(_encode(_small(manifest=manifest, versions={"v1": {"state": state}}))) as index:
        seen = []
        for entry, other in zip(index.state(), index.state(), strict=True):
            assert entry == other == index.entry(entry.logical)
            assert sum(1 for _ in index.contents()) == 50  # makes its own index in between
            seen.append(entry.logical)
        assert seen == [f"{number:02}" for number in range(50)]


_D, _OTHER = _sha512("a"), _sha512("other")


def _version(value: object) -> dict[str, Any]:
    return _small(versions={"v1": value})


def _without(name: str) -> dict[str, Any]:
    document = _small()
    del document[name]
    return document


@pytest.mark.parametrize(
    "document",
    [
        *(_without(name) for name in ("id", "digestAlgorithm", "head", "manifest", "versions")),
        *([], "text", 5, None, True, {}),
        *(_small(manifest=value) for value in (None, [], 5, "text", {})),
        *(_small(versions=value) for value in (None, [], 5, "v1", {}, {"v2": {}})),
        *(_small(head=value) for value in ("v2", "", None, 5, [], {"a": 1})),
        *(_version(value) for value in (None, [], 5, "text", {}, {"State": {}})),
        *(_version({"state": value}) for value in (None, [], 5, "text")),
        *(_version({"state": {_D: value}}) for value in (None, 5, True, 1.5)),
        *(_version({"state": {_D: value}}) for value in (["a", None], [5], [["a"]], [{"a": "b"}])),
        *(_version({"state": {_OTHER: value}}) for value in (["a"], [])),
        _small(manifest={_D: []}),
        _small(manifest={_D: {}}),
        _small(manifest={_D: None}),
        _version({"state": {_D: ["a"], "": ["b"]}}),
    ],
)
def test_flaws_have_the_code_of_the_whole_parser(document: object) -> None:
    """A flawed inventory is refused under the code that parse_inventory gives it."""
    content = _encode(document)
    with pytest.raises(InventoryUnreadable) as expected:
        parse_inventory(content, "k")
    for size in (None, 1 << 40):  # in memory, in a file
        with pytest.raises(InventoryUnreadable) as found:
            _read(content, size=size)
        assert (found.value.code, found.value.key) == (expected.value.code, "k")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (_small(id=5), "E036"),
        (_small(digestAlgorithm=["sha512"]), "E036"),
        (_small(contentDirectory=None), "E036"),
        (_small(manifest={_D: "v1/content/a"}), "E036"),
        (_small(manifest={_D: ["v1/content/a", 5]}), "E036"),
        (_small(manifest={_D: ["v1/content/a"], _OTHER: None}), "E036"),
        (_version({"state": {_D: "abc"}}), "E036"),
        (_version({"state": {_D: {"a": 1}}}), "E036"),
    ],
)
def test_wrong_types_the_whole_parser_lets_pass(document: object, code: str) -> None:
    """Members of a type that no reader can use are refused wherever they are, not only where they are used."""
    parse_inventory(_encode(document), "k")
    with pytest.raises(InventoryUnreadable) as found:
        _read(_encode(document))
    assert found.value.code == code


def test_earlier_versions_are_checked_only_when_loaded() -> None:
    """A flaw in an earlier version's state stops only those who asked for it."""
    good = _small()["versions"]["v1"]
    for flawed in (None, {}, {"state": []}, {"state": {_OTHER: ["a"]}}, {"state": {_D: [5]}}):
        for document in (
            _small(head="v2", versions={"v1": flawed, "v2": good}),
            {**_without("head"), "versions": {"v1": flawed, "v2": good}, "head": "v2"},
        ):
            with _read(_encode(document)) as index:
                assert [entry.logical for entry in index.state()] == ["a"]
            with pytest.raises(InventoryUnreadable) as found:
                _read(_encode(document), every_version=True)
            assert found.value.code in ("E036", "E051")


@pytest.mark.parametrize("chunk_bytes", [1, 5, 1 << 16])
def test_truncated_anywhere(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an inventory is not JSON, wherever it ends."""
    monkeypatch.setattr(inventory_index, "_CHUNK_BYTES", chunk_bytes)
    content = json.dumps(_small(id="é\n😀"), indent=1).encode()
    for end in range(0, len(content), 1 if chunk_bytes > 5 else 13):
        with pytest.raises(InventoryUnreadable, match="E033"):
            _read(content[:end])


_SYNTAX = [
    b"%s x", b"%s{}", b"%s\x00", b"%s,", b"\x00%s", b"[%s", b"\xff\xfe%s", b"/* c */%s", b"// c\n%s", b"%s\x0b", b'%s "', b'%s "a}', b'%s\n"{}', b'%s "\\',
    b"\x0c%s", b"\xef\xbb\xbf\xef\xbb\xbf%s",
]  # fmt: skip
_VALUES = [
    b"nan", b"tru", b"01", b"1.", b".5", b"+1", b"1e", b"'a'", b'"\x01"', b'"\n"', b'"\t"', b'"\\x41"', b'"\\u12g4"',
    b'"\\u12"', b'"\\', b'"\xff"', b'"\xc3"', b"[1,]", b'{"a":1,}', b'{"a"}', b"{1:2}", b"[1 2]", b"[1;2]", b"\\", b"",
]  # fmt: skip


@pytest.mark.parametrize(
    "content", [*(form % _encode(_small()) for form in _SYNTAX), b"", b" ", b"\xef\xbb\xbf"]
)
def test_bytes_around_the_document_are_not_json(content: bytes) -> None:
    """Garbage before or after the document is refused, as json.loads does."""
    for reader in (lambda: parse_inventory(content, "k"), lambda: _read(content)):
        with pytest.raises(InventoryUnreadable, match="E033"):
            reader()


@pytest.mark.parametrize("value", _VALUES)
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 16])
def test_bad_syntax_is_not_json(value: bytes, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad syntax in a member that nobody reads is refused, as json.loads does."""
    monkeypatch.setattr(inventory_index, "_CHUNK_BYTES", chunk_bytes)
    content = b'{"ignored": %s, %s' % (value, _encode(_small())[1:])
    for reader in (lambda: parse_inventory(content, "k"), lambda: _read(content)):
        with pytest.raises(InventoryUnreadable, match="E033"):
            reader()


@pytest.mark.parametrize(
    "value",
    [
        b"NaN", b"-Infinity", b"9223372036854775808", b"1e999", b"1" * 5000, b"-" + b"9" * 100_000,
        b'"\\ud800"', b'"\\udc00"', b'"\\ud800x"', b'"\\ud800\\u0041"', b'"\\ud800\\\\udc00"', b'"\\uDBFF\\uDBFF"',
        b'"\\ud83d\\ude00\\ude00"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf5\x80\x80\x80"', b'"\\ud800\\\\u"',
        b"[" * 1_000_000, b'{"a":' * 100_000, b"[" * 300 + b"]" * 300,
    ],
    ids=range(20),
)  # fmt: skip
@pytest.mark.parametrize("chunk_bytes", [1, 7, 1 << 16])
def test_what_no_inventory_needs_is_refused(
    value: bytes, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers beyond 64 bits, half surrogate pairs and deep nesting are refused, and break nothing."""
    monkeypatch.setattr(inventory_index, "_CHUNK_BYTES", chunk_bytes if len(value) < 10_000 else 1 << 16)
    for content in (
        b'{"ignored": %s, %s' % (value, _encode(_small())[1:]),
        _encode(_small())[:-1] + b', "ignored": ' + value,
    ):
        with pytest.raises(InventoryUnreadable, match="E033"):
            _read(content)


def test_escapes_cut_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaped names are read right wherever the stream is cut."""
    name = 'é"\\\\ud800\\😀\\\\\\\U0010ffff\ud7ff\ue000\\u0041\x00\\'
    content = json.dumps(_version({"state": {_D: [name]}})).encode()
    for chunk_bytes in range(1, 40):
        monkeypatch.setattr(inventory_index, "_CHUNK_BYTES", chunk_bytes)
        with _read(content) as index:
            assert [entry.logical for entry in index.state()] == [name]


@pytest.mark.parametrize("seed", range(10))
def test_random_damage(seed: int) -> None:
    """Damaged bytes end in InventoryUnreadable or in what json.loads finds, never in anything else."""
    rng = random.Random(seed)
    for _ in range(100):
        content = bytearray(_random_bytes(rng))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(content))
            content[at : at + rng.randint(0, 2)] = rng.choice(
                [b"", b'"', b"\\", b"{", b"]", b",", bytes([rng.randrange(256)])]
            )
        try:
            index = _read(bytes(content))
        except InventoryUnreadable:
            continue
        with index:
            inventory = parse_inventory(bytes(content), "k")
            assert [entry.logical for entry in index.state()] == [
                e.logical for e in _sorted_state(inventory)
            ]


def _twice(*members: str) -> bytes:
    return ("{" + ", ".join(members) + "}").encode()


def test_repeated_keys() -> None:
    """Of a key that comes twice the last one counts, as for json.loads."""
    rest = '"id": "x", "digestAlgorithm": "sha512", "head": "v1"'
    manifest = f'"manifest": {{"{_D}": ["v1/content/a"], "{_OTHER}": ["v1/content/b"]}}'
    state = f'{{"{_D}": ["a"], "{_OTHER}": ["b"]}}'
    good = f'"versions": {{"v1": {{"state": {state}}}}}'
    for content in (
        _twice(rest, '"manifest": null', manifest, good),
        _twice(rest, '"manifest": {"ab": ["v1/content/c"], "cd": [5]}', manifest, good),
        _twice(rest, manifest, '"versions": 5', good),
        _twice(rest, manifest, f'"versions": {{"v0": {{"state": {state}}}}}', good),
        _twice(rest, '"id": "y", "id": "x"', manifest, good),
        _twice(rest, manifest, f'"versions": {{"v1": null, "v1": {{"state": {state}}}}}'),
        _twice(rest, manifest, f'"versions": {{"v1": {{"state": [], "state": {{"ab": [1]}}, "state": {state}}}}}'),
        _twice(rest, f'"manifest": {{"{_D}": ["z"], "{_OTHER}": ["v1/content/b"], "{_D}": ["v1/content/a"]}}', good),
        _twice(rest, f'"manifest": {{"{_D.upper()}": ["z"], "{_D}": ["v1/content/a"], "{_OTHER}": ["v1/content/b"]}}', good),
        _twice(rest, manifest, f'"versions": {{"v1": {{"state": {{"{_D}": ["z", "y"], "{_OTHER}": ["b"], "{_D}": ["a"]}}}}}}'),
        _twice(rest, manifest, f'"versions": {{"v1": {{"state": {{"{_D}": ["a"], "{_D.upper()}": ["b"]}}}}}}'),
    ):  # fmt: skip
        for every_version in (False, True):
            with _read(content, every_version=every_version) as index:
                _assert_equal(index, parse_inventory(content, "k"))


def test_head_that_changes_after_the_versions() -> None:
    """A second head that names a version whose state was passed over is refused."""
    block = _small()["versions"]["v1"]
    content = _encode(_small(versions={"v1": block, "v2": block}))[:-1] + b', "head": "v2"}'
    with pytest.raises(InventoryUnreadable, match="E033"):
        _read(content)
    with _read(content, every_version=True) as index:
        assert index.head == "v2"


def test_a_path_listed_twice() -> None:
    """A damaged state that lists a path twice shows both; asked for the path, it answers the last."""
    content = _encode(
        _small(
            manifest={_D: ["v1/content/a", "v1/content/b"], _OTHER: ["v1/content/b"]},
            versions={"v1": {"state": {_OTHER: ["b", "a"], _D: ["a"]}}},
        )
    )
    with _read(content) as index:
        assert [(entry.logical, entry.sha512) for entry in index.state()] == [
            ("a", _OTHER),
            ("a", _D),
            ("b", _OTHER),
        ]
        assert index.count() == 3
        entry = index.entry("a")
        assert entry is not None
        assert entry.sha512 == _D
        assert index.digest_of("v1/content/b") == _OTHER
        assert [path for path, _ in index.contents()] == ["v1/content/a", "v1/content/b", "v1/content/b"]


def test_empty_objects() -> None:
    """An object without files, and a digest without paths, are nothing special."""
    with _read(_encode(_small(manifest={}, versions={"v1": {"state": {}}}))) as index:
        assert list(index.state()) == list(index.contents()) == []
        assert index.count() == 0
    with _read(
        _encode(_small(manifest={_D: ["p"], _OTHER: []}, versions={"v1": {"state": {_D: []}}}))
    ) as index:
        assert list(index.state()) == []
        assert list(index.contents()) == [("p", _D)]
        assert index.content_of(_OTHER) is None


class _Drip(io.RawIOBase):
    """A stream that cannot seek and gives less than it is asked for."""

    def __init__(self, content: bytes, rng: random.Random) -> None:
        self._content = io.BytesIO(content)
        self._rng = rng

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(self._rng.randint(1, max(1, min(size, 999))))


def test_a_stream_that_drips() -> None:
    """A stream that cannot seek and returns few bytes at a time gives the same inventory."""
    for seed in range(20):
        content = _random_bytes(random.Random(seed))
        stream = _Drip(content, random.Random(seed))
        with read_inventory(stream, "k") as index:  # type: ignore[arg-type]
            _assert_equal(index, parse_inventory(content, "k"))


def test_the_database_goes(tmp_path: Path) -> None:
    """A large inventory is indexed in a private folder of the scratch area, which close removes."""
    content = b"".join(large_inventory(12_000))
    scratch = tmp_path / "scratch"
    index = _read(content, scratch=scratch)
    assert [path.name for path in scratch.glob("work-*/*.sqlite")] == ["inventory.sqlite"]
    rows = index.state()
    assert next(rows).logical == "data/box 00000/folder 000000/record 00000000.pdf"
    index.close()
    index.close()
    assert list(scratch.iterdir()) == []


def test_small_inventories_leave_no_file(tmp_path: Path) -> None:
    """A small inventory stays in memory, whether its size was announced or not."""
    for size in (None, 10):
        with _read(_encode(_small()), size=size, scratch=tmp_path):
            assert list(tmp_path.iterdir()) == []


def test_the_database_goes_when_reading_fails(tmp_path: Path) -> None:
    """What was indexed before the flaw was found is removed too, and a broken stream's error comes through."""
    content = b"".join(large_inventory(12_000))
    with pytest.raises(InventoryUnreadable, match="E033"):
        _read(content[:-5], scratch=tmp_path)

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 3 << 20:
                raise ConnectionResetError
            return super().read(size)

    with pytest.raises(ConnectionResetError):
        read_inventory(Broken(content), "k", scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_announced_size_may_be_wrong(tmp_path: Path) -> None:
    """A stream that is longer than announced is indexed in a file all the same."""
    with _read(b"".join(large_inventory(12_000)), size=10, scratch=tmp_path) as index:
        assert index.count() == 12_000
        assert len(list(tmp_path.glob("work-*"))) == 1


class _Endless(io.RawIOBase):
    """A hostile stream: a beginning, then the same bytes again and again."""

    def __init__(self, start: bytes, repeated: bytes, total_bytes: int) -> None:
        self._start = start
        self._repeated = repeated * (1 + 4096 // len(repeated))
        self._total_bytes = total_bytes
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._start or self._repeated[: self._total_bytes - self.given]
        self._start = b""
        self.given += len(chunk)
        return chunk


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (b'{"message": "', b"a"),
        (b'{"', b"a"),
        (b'{"a": "', b"\\\\"),
        (b'{"a": "', b"\\ud83d\\ude00"),
        (b'{"a": ', b"1"),
        (b'{"a": ', b" "),
        (b"", b"["),
        (b"", b'{"a":'),
    ],
)
def test_endless_tokens_are_given_up(start: bytes, repeated: bytes) -> None:
    """A string, a number, whitespace or nesting of gigabytes is refused long before it is read."""
    stream = _Endless(start, repeated, 4 << 30)
    with pytest.raises(InventoryUnreadable, match="E033"):
        read_inventory(stream, "k")  # type: ignore[arg-type]
    assert stream.given < 8 << 20


def _next(index: InventoryIndex, *arguments: Any) -> bytes:
    return b"".join(next_inventory_parts(index, *arguments))


@pytest.mark.parametrize("seed", range(60))
def test_the_next_inventory_is_the_whole_writers(seed: int) -> None:
    """Streamed or put together in memory, the next version's inventory is the same to the byte."""
    rng = random.Random(seed)
    document = _random_document(rng)
    content = _encode(document, indent=rng.choice([None, 1]))
    inventory = parse_inventory(content, "k")
    state = {entry.logical: entry.sha512 for entry in inventory.state()}
    removed = [name for name in state if rng.random() < 0.2]
    for name in removed:
        del state[name]
    added = {_sha512(f"new {number}"): f"v99/content/{number}" for number in range(rng.randint(0, 4))}
    changed = [
        (name, rng.choice([*inventory.manifest, *added]))
        for name in [
            *rng.sample(sorted(state), len(state) // 3),
            *_names(rng, rng.randint(0, 5)),
            *removed[:1],
        ]
        if inventory.manifest or added
    ]
    changed += changed[:1]
    state.update(changed)
    with _read(content, every_version=True, size=rng.choice([None, 1 << 40])) as index:
        found = _next(index, "v99", _INFO, changed, removed, added.items())
    assert found == next_inventory(inventory, "v99", _INFO, state, added)


def test_versions_in_a_row() -> None:
    """A chain of versions, each read from what was written before, keeps every earlier one."""
    content = _encode(_small())
    for number in range(2, 13):
        digest = _sha512(str(number))
        version = f"v{number}"
        with _read(content, every_version=True) as index:
            content = _next(
                index, version, _INFO, [(version, digest)], [], [(digest, f"{version}/content/{number}")]
            )
    with _read(content, every_version=True) as index:
        assert index.head == "v12"
        assert [index.count(facts.name) for facts in index.versions] == list(range(1, 13))
        assert index.entry("v12") == InventoryEntry(_sha512("12"), "v12", "v12/content/12")


def test_a_path_listed_twice_is_cured_by_the_next_version() -> None:
    """The next version has a doubly listed path once, with the digest that came last."""
    manifest = {_D: ["v1/content/a"], _OTHER: ["v1/content/b"]}
    content = _encode(
        _small(manifest=manifest, versions={"v1": {"state": {_OTHER: ["b", "a"], _D: ["a"]}}})
    )
    inventory = parse_inventory(content, "k")
    state = {entry.logical: entry.sha512 for entry in inventory.state()}
    with _read(content, every_version=True) as index:
        assert _next(index, "v2", _INFO, [], [], []) == next_inventory(inventory, "v2", _INFO, state, {})
        del state["a"]
        assert _next(index, "v2", _INFO, [], ["a"], []) == next_inventory(inventory, "v2", _INFO, state, {})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("v1", _INFO, [], [], []), ValueError),
        (("v2", _INFO, [], ["b"], []), KeyError),
        (("v2", _INFO, [("b", _OTHER)], [], []), ValueError),
        (("v2", _INFO, [], [], [(_D, "v2/content/a")]), ValueError),
        (
            ("v2", _INFO, [("b", _OTHER)], [], [(_OTHER, "v2/content/b"), (_OTHER, "v2/content/c")]),
            ValueError,
        ),
    ],
)
def test_impossible_versions_are_refused_at_once(
    arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    """What would make an inventory wrong is refused before its first byte, and can be asked anew."""
    with _read(_encode(_small()), every_version=True) as index:
        with pytest.raises(error):
            next_inventory_parts(index, *arguments)
        assert _next(index, "v2", _INFO, [], [], []).startswith(b"{\n")


def test_the_next_inventory_may_come_from_the_index_itself() -> None:
    """What is changed and removed may be read from the same index while it is taken in."""
    manifest = {_sha512(str(number)): [f"v1/content/{number}"] for number in range(100)}
    state = {digest: [f"{number}"] for number, digest in enumerate(manifest)}
    content = _encode(_small(manifest=manifest, versions={"v1": {"state": state}}))
    inventory = parse_inventory(content, "k")
    with _read(content, every_version=True) as index:
        unfinished = index.state()
        next(unfinished)
        for _ in range(2):
            found = _next(
                index,
                "v2",
                _INFO,
                ((f"copy/{entry.logical}", entry.sha512) for entry in index.state()),
                (entry.logical for entry in index.state()),
                [],
            )
            after = {f"copy/{entry.logical}": entry.sha512 for entry in inventory.state()}
            assert found == next_inventory(inventory, "v2", _INFO, after, {})
        assert sum(1 for _ in unfinished) == 99


def test_the_next_inventory_needs_every_version() -> None:
    """An index that lacks the earlier states cannot be continued."""
    with _read(_encode(_small())) as index, pytest.raises(ValueError, match="earlier versions"):
        next_inventory_parts(index, "v2", _INFO, [], [], [])
