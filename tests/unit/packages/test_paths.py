"""File names: dangerous, unportable, and as each standard writes them."""

import pytest

from packages import paths


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "~root/x", "C:\\x", "\\\\host\\x", "file:/x", "", "a\0b"]
)
def test_escapes_are_named(path: str) -> None:
    """Every way out of a folder has a reason."""
    assert paths.escape_reason(path)


@pytest.mark.parametrize("path", ["data/a", "a..b/c", "data/~x", "a b+c%.txt", "文/件"])
def test_ordinary_names_are_not_escapes(path: str) -> None:
    """Dots inside names and odd letters lead nowhere."""
    assert paths.escape_reason(path) is None


@pytest.mark.parametrize("name", ["%", "a%25b", "x\r\ny", "100% + 2"])
def test_bag_encoding_round_trips(name: str) -> None:
    """RFC 8493: decode(encode(name)) is the name."""
    assert paths.bag_decode(paths.bag_encode(name)) == name


def test_bag_decode_leaves_other_sequences() -> None:
    """Only %25, %0D and %0A mean something."""
    assert paths.bag_decode("%7Etest %0a%2525") == "%7Etest \n%25"


@pytest.mark.parametrize("name", ["a b", "a+b", "a%b", "文", "a#b?c", "a:b"])
def test_href_round_trips(name: str) -> None:
    """A METS reference decodes to the name, and holds no bare plus sign or space."""
    reference = paths.href(name)
    assert paths.from_href(reference) == name
    assert not set("+ #?:") & set(reference)


def test_renaming_avoids_what_is_taken() -> None:
    """Two names that become equal stay apart, and the extension stays an extension."""
    taken = {"d/a_b.txt", "d/a_b~2.txt"}
    assert paths.renamed("d/a%b.txt", taken=taken.__contains__) == "d/a_b~3.txt"


def test_collisions_across_case_and_normal_form() -> None:
    """NFC and NFD, upper and lower case share a key."""
    assert paths.collision_key("Café") == paths.collision_key("CAFE\u0301".lower())


@pytest.mark.parametrize(
    ("path", "portable"), [("a/b.c", True), ("a b", False), ("文", False), ("..", False)]
)
def test_portable(path: str, portable: bool) -> None:
    """Only plain ASCII segments may be object keys as they are."""
    assert paths.is_portable(path) is portable


@pytest.mark.parametrize("path", ["con.txt", "a/nul", "x. ", "a:b", "y" * 256])
def test_unportable_names_have_a_reason(path: str) -> None:
    """What Windows or a file system cannot take is said."""
    assert paths.unportable_reason(path)
