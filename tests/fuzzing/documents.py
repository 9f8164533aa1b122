"""METS, bag-info.txt, BagIt profiles and agreements, mutated; one number decides everything."""

from __future__ import annotations

import json
import random
from pathlib import Path

__all__ = ["make_agreement", "make_bag_info", "make_mets", "make_profile"]

_ROOT = Path(__file__).parent.parent.parent
_ODD = (
    b"", b"\x00", b"\xff\xfe", b"&x;", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"]]>", b"<![CDATA[", b"-1", b"9" * 400,
    b"\xed\xa0\x80", b"'" * 50, b'"', b"<a " * 300, b"\n" * 100, "\u202e\u2028".encode(), b"%00", b"../" * 40,
    b"[[", b"{}", b"= = =", b"1e999", b"null", b"true", b": : :", b"\t\t", b"A" * 100_000,
)  # fmt: skip
_METS = b"""<?xml version="1.0" encoding="UTF-8"?>
<mets:mets xmlns:mets="http://www.loc.gov/METS/" xmlns:csip="https://DILCIS.eu/XML/METS/CSIPExtensionMETS"
 xmlns:xlink="http://www.w3.org/1999/xlink" OBJID="uuid-1" TYPE="Other" LABEL="x" csip:CONTENTINFORMATIONTYPE="MIXED"
 PROFILE="https://earkcsip.dilcis.eu/profile/E-ARK-CSIP-v2-2-0.xml">
<mets:metsHdr CREATEDATE="2026-01-31T00:00:00Z" csip:OAISPACKAGETYPE="SIP"><mets:agent ROLE="CREATOR" TYPE="OTHER"
 OTHERTYPE="SOFTWARE"><mets:name>x</mets:name><mets:note csip:NOTETYPE="SOFTWARE VERSION">1</mets:note></mets:agent>
</mets:metsHdr><mets:amdSec ID="a"><mets:digiprovMD ID="d" CREATED="2026-01-31T00:00:00Z"><mets:mdRef LOCTYPE="URL"
 xlink:type="simple" xlink:href="metadata/premis.xml" MDTYPE="PREMIS" MIMETYPE="text/xml" SIZE="1" CHECKSUM="0"
 CHECKSUMTYPE="SHA-512" CREATED="2026-01-31T00:00:00Z"/></mets:digiprovMD></mets:amdSec><mets:fileSec ID="f">
<mets:fileGrp ID="g" USE="Documentation"><mets:file ID="i" MIMETYPE="text/plain" SIZE="1" CHECKSUM="0"
 CREATED="2026-01-31T00:00:00Z" CHECKSUMTYPE="SHA-512"><mets:FLocat LOCTYPE="URL" xlink:type="simple"
 xlink:href="documentation/a.txt"/></mets:file></mets:fileGrp></mets:fileSec><mets:structMap ID="s" TYPE="PHYSICAL"
 LABEL="CSIP"><mets:div ID="v" LABEL="uuid-1"><mets:div ID="w" LABEL="Metadata" DMDID="n" ADMID="d"/></mets:div>
</mets:structMap></mets:mets>
"""
_BAG_INFO = (
    b"Source-Organization: Agency\nContact-Name: A\nExternal-Description: text\n  continued\nBagging-Date: 2026-01-31\n"
    b"External-Identifier: X-1\nPayload-Oxum: 1.1\nBag-Size: 1 KB\nBag-Count: 1 of 1\nNote: \xe4\xbc\x9a\n"
)
_PROFILE = {
    "BagIt-Profile-Info": {"BagIt-Profile-Identifier": "https://x.invalid/p.json", "BagIt-Profile-Version": "1.4.0"},
    "Bag-Info": {"Contact-Name": {"required": True, "values": ["A"], "repeatable": False}},
    "Manifests-Required": ["sha512"], "Tag-Files-Allowed": ["*"], "Allow-Fetch.txt": False, "Data-Empty": False,
    "Serialization": "optional", "Accept-Serialization": ["application/zip"], "Accept-BagIt-Version": ["1.0"],
}  # fmt: skip


def make_mets(seed: int) -> bytes:
    """A METS document."""
    return _mutated(_METS, random.Random(seed))


def make_bag_info(seed: int) -> bytes:
    """A bag-info.txt."""
    return _mutated(_BAG_INFO, random.Random(seed))


def make_profile(seed: int) -> bytes:
    """A BagIt profile: as text, or as JSON with other values in it."""
    chance = random.Random(seed)
    if seed % 2:
        return _mutated(json.dumps(_PROFILE).encode(), chance)
    profile = json.loads(json.dumps(_PROFILE))
    for _ in range(chance.choice([1, 2, 3])):
        key = chance.choice([*profile, "Other"])
        profile[key] = chance.choice(
            [None, 1, "x", [], [1], {}, {"A": 1}, {"A": {"required": "x"}}, True, [["a"]]]
        )
    return json.dumps(profile).encode()


def make_agreement(seed: int) -> bytes:
    """A submission agreement."""
    return _mutated((_ROOT / "config/agreements/default.toml").read_bytes(), random.Random(seed))


def _mutated(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(max(1, len(content)))
        end = min(len(content), at + chance.choice([0, 1, 5, 40]))
        match chance.choice(["odd", "cut", "swap", "repeat", "flip"]):
            case "odd":
                content = content[:at] + chance.choice(_ODD) + content[end:]
            case "cut":
                content = content[:at] + content[end:]
            case "swap":
                other = chance.randrange(max(1, len(content)))
                content = content[:at] + content[other : other + end - at] + content[end:]
            case "repeat":
                content = content[:end] + content[at:]
            case _ if content:
                content = (
                    content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
                )
    return content
