"""Layouts give the places that their extensions list as examples."""

import pytest

from storage.ocfl.layout import LAYOUTS, HashAndIdLayout, LayoutInvalid, read_layout

_FLAT, _HASH_ID = "0002-flat-direct-storage-layout", "0003-hash-and-id-n-tuple-storage-layout"
_HASH, _OMIT = "0004-hashed-n-tuple-storage-layout", "0006-flat-omit-prefix-storage-layout"
_TUPLE_OMIT = "0007-n-tuple-omit-prefix-storage-layout"
_LONG = "abcdefghij" * 10 + "a"
_SHA_01 = "3c0ff4240c1e116dba14c7627f2319b58aa3d77606d0d90dfc6161608ac987d4"
_EX1 = {"delimiter": ":", "tupleSize": 4, "numberOfTuples": 2, "reverseObjectRoot": True}
_EX2 = {"delimiter": "edu/", "zeroPadding": "right"}


@pytest.mark.parametrize(
    ("name", "config", "object_id", "place"),
    [
        (_FLAT, {}, "..hor_rib:lé-$id", "..hor_rib:lé-$id"),
        (_HASH_ID, {}, "object-01", "3c0/ff4/240/object-01"),
        (_HASH_ID, {}, "..hor/rib:le-$id", "487/326/d8c/%2e%2ehor%2frib%3ale-%24id"),
        (_HASH_ID, {}, "..Hor/rib:lè-$id", "373/529/21a/%2e%2eHor%2frib%3al%c3%a8-%24id"),
        (_HASH_ID, {}, _LONG, f"5cc/73e/648/{_LONG[:100]}-"
         "5cc73e648fbcff136510e330871180922ddacf193b68fdeff855683a01464220"),
        (_HASH_ID, {"digestAlgorithm": "md5", "tupleSize": 2, "numberOfTuples": 15}, "object-01",
         "ff/75/53/44/92/48/5e/ab/b3/9f/86/35/67/28/88/object-01"),
        (_HASH_ID, {"tupleSize": 0, "numberOfTuples": 0}, "object-01", "object-01"),
        (_HASH, {}, "object-01", f"3c0/ff4/240/{_SHA_01}"),
        (_HASH, {"shortObjectRoot": True}, "object-01", f"3c0/ff4/240/{_SHA_01[9:]}"),
        (_HASH, {"tupleSize": 0, "numberOfTuples": 0}, "object-01", _SHA_01),
        (_OMIT, {"delimiter": ":"}, "namespace:12887296", "12887296"),
        (_OMIT, {"delimiter": ":"}, "urn:uuid:6e8bc430", "6e8bc430"),
        (_OMIT, {"delimiter": "EDU/"}, "https://institution.edu/abc/edu/f8.05v", "f8.05v"),
        (_OMIT, {"delimiter": ":"}, "no-prefix", "no-prefix"),
        (_TUPLE_OMIT, _EX1, "namespace:12887296", "6927/8821/12887296"),
        (_TUPLE_OMIT, _EX1, "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
         "66a9/c002/6e8bc430-9c3a-11d9-9669-0800200c9a66"),
        (_TUPLE_OMIT, _EX1, "abc123", "321c/ba00/abc123"),
        (_TUPLE_OMIT, _EX2, "https://institution.edu/3448793", "344/879/300/3448793"),
        (_TUPLE_OMIT, _EX2, "https://institution.edu/abc/edu/f8.05v", "f8./05v/000/f8.05v"),
    ],
)  # fmt: skip
def test_examples(name: str, config: dict[str, object], object_id: str, place: str) -> None:
    """The mappings printed in the extensions."""
    layout = read_layout(name, {"extensionName": name, **config})
    assert layout is not None
    assert layout.object_root(object_id) == place


@pytest.mark.parametrize(
    ("name", "config"),
    [
        (_HASH_ID, {"extensionName": _HASH}),
        (_HASH_ID, {"tupleSize": 0}),
        (_HASH_ID, {"tupleSize": 32, "numberOfTuples": 32}),
        (_HASH_ID, {"tupleSize": True}),
        (_HASH_ID, {"tupleSize": -1}),
        (_HASH_ID, {"digestAlgorithm": "size"}),
        (_HASH, {"tupleSize": 32, "numberOfTuples": 2, "shortObjectRoot": True}),
        (_OMIT, {}),
        (_OMIT, {"delimiter": ""}),
        (_TUPLE_OMIT, {"delimiter": ""}),
        (_TUPLE_OMIT, {"tupleSize": 0}),
        (_TUPLE_OMIT, {"zeroPadding": "middle"}),
    ],
)
def test_parameters_that_are_none(name: str, config: dict[str, object]) -> None:
    """No mapping follows from them."""
    with pytest.raises(LayoutInvalid):
        read_layout(name, config)


@pytest.mark.parametrize("object_id", ["ends-with:", "ö"])
def test_identifiers_without_a_place(object_id: str) -> None:
    """Some layouts have no place for some identifiers."""
    layout = read_layout(_TUPLE_OMIT, {})
    assert layout is not None
    with pytest.raises(ValueError):
        layout.object_root(object_id)


def test_the_layout_we_write() -> None:
    """Its files describe it so that a reader arrives at the same layout."""
    assert read_layout(HashAndIdLayout.name, {}) == HashAndIdLayout()
    assert read_layout("9999-unknown", {}) is None
    assert all(name == kind.name for name, kind in LAYOUTS.items())
