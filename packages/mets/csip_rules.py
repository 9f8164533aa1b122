"""The MUSTs of E-ARK CSIP 2.2.0 over one METS document, as data.

A rule under an optional parent applies only when the parent is there (docs of the CSIP, §5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from lxml import etree

from packages.problem import Problem
from packages.problem_catalogue import standard_problem

NAMESPACES = {
    "mets": "http://www.loc.gov/METS/",
    "xlink": "http://www.w3.org/1999/xlink",
    "csip": "https://DILCIS.eu/XML/METS/CSIPExtensionMETS",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """``each`` selects the nodes the rule is about, ``holds`` must be true at each of them."""

    code: str
    each: str
    holds: str
    text: str


_SOFTWARE = "mets:agent[@ROLE='CREATOR'][@TYPE='OTHER'][@OTHERTYPE='SOFTWARE']"
_CSIP_MAP = "mets:structMap[@LABEL='CSIP']"
_REFERENCE = "mets:dmdSec/mets:mdRef | mets:amdSec/mets:digiprovMD/mets:mdRef"
_MAIN = f"{_CSIP_MAP}/mets:div"

RULES = (
    Rule("CSIP1", ".", "string(@OBJID)", "mets has no OBJID"),
    Rule("CSIP2", ".", "string(@TYPE)", "mets has no TYPE"),
    Rule("CSIP6", ".", "string(@PROFILE)", "mets has no PROFILE"),
    Rule("CSIP117", ".", "mets:metsHdr", "there is no metsHdr"),
    Rule("CSIP7", "mets:metsHdr", "string(@CREATEDATE)", "metsHdr has no CREATEDATE"),
    Rule("CSIP9", "mets:metsHdr", "string(@csip:OAISPACKAGETYPE)", "no csip:OAISPACKAGETYPE"),
    Rule("CSIP10", "mets:metsHdr", "mets:agent", "metsHdr names no agent"),
    Rule("CSIP11", "mets:metsHdr[mets:agent]", "mets:agent[@ROLE='CREATOR']", "no agent is CREATOR"),
    Rule(
        "CSIP12", "mets:metsHdr/mets:agent[@OTHERTYPE='SOFTWARE']", "@TYPE='OTHER'",
        "the software agent has no TYPE=OTHER",
    ),
    Rule(
        "CSIP13", "mets:metsHdr[mets:agent[@TYPE='OTHER']]", "mets:agent[@OTHERTYPE='SOFTWARE']",
        "no agent is of OTHERTYPE SOFTWARE",
    ),
    Rule("CSIP14", f"mets:metsHdr/{_SOFTWARE}", "string(mets:name)", "the software has no name"),
    Rule("CSIP15", f"mets:metsHdr/{_SOFTWARE}", "mets:note", "the software agent has no note"),
    Rule(
        "CSIP16", f"mets:metsHdr/{_SOFTWARE}[mets:note]",
        "mets:note[@csip:NOTETYPE='SOFTWARE VERSION']",
        "the software agent's note is not marked SOFTWARE VERSION",
    ),
    Rule("CSIP18", "mets:dmdSec", "@ID", "dmdSec has no ID"),
    Rule("CSIP19", "mets:dmdSec", "@CREATED", "dmdSec has no CREATED"),
    Rule("CSIP33", "mets:amdSec/mets:digiprovMD", "@ID", "digiprovMD has no ID"),
    Rule("CSIP22", _REFERENCE, "@LOCTYPE='URL'", "mdRef is not LOCTYPE URL"),
    Rule("CSIP23", _REFERENCE, "@xlink:type='simple'", "mdRef is not a simple link"),
    Rule("CSIP24", _REFERENCE, "string(@xlink:href)", "mdRef has no href"),
    Rule("CSIP25", _REFERENCE, "@MDTYPE", "mdRef has no MDTYPE"),
    Rule("CSIP26", _REFERENCE, "@MIMETYPE", "mdRef has no MIMETYPE"),
    Rule("CSIP27", _REFERENCE, "@SIZE", "mdRef has no SIZE"),
    Rule("CSIP28", _REFERENCE, "@CREATED", "mdRef has no CREATED"),
    Rule("CSIP29", _REFERENCE, "@CHECKSUM", "mdRef has no CHECKSUM"),
    Rule("CSIP30", _REFERENCE, "@CHECKSUMTYPE", "mdRef has no CHECKSUMTYPE"),
    Rule("CSIP59", "mets:fileSec", "@ID", "fileSec has no ID"),
    Rule(
        "CSIP114", "mets:fileSec", "mets:fileGrp[starts-with(@USE, 'Representations')]",
        "no file group for representations",
    ),
    Rule("CSIP64", "mets:fileSec/mets:fileGrp", "@USE", "a fileGrp has no USE"),
    Rule("CSIP65", "mets:fileSec/mets:fileGrp", "@ID", "a fileGrp has no ID"),
    Rule("CSIP80", ".", _CSIP_MAP, "no structMap with LABEL CSIP"),
    Rule("CSIP81", _CSIP_MAP, "@TYPE='PHYSICAL'", "the CSIP structMap is not TYPE PHYSICAL"),
    Rule("CSIP82", "mets:structMap[@TYPE='PHYSICAL']", "@LABEL='CSIP'", "structMap LABEL is not CSIP"),
    Rule("CSIP83", _CSIP_MAP, "@ID", "the CSIP structMap has no ID"),
    Rule("CSIP84", _CSIP_MAP, "count(mets:div)=1", "the CSIP structMap needs one main div"),
    Rule("CSIP85", _MAIN, "@ID", "the main div has no ID"),
    Rule("CSIP88", _MAIN, "mets:div[@LABEL='Metadata']", "no div labelled Metadata"),
    Rule("CSIP106", f"{_MAIN}/mets:div", "@ID", "a div has no ID"),
    Rule("CSIP107", f"{_MAIN}/mets:div", "@LABEL", "a div has no LABEL"),
    Rule("CSIP110", f"{_MAIN}/mets:div/mets:mptr", "string(@xlink:href)", "mptr has no href"),
    Rule("CSIP111", f"{_MAIN}/mets:div/mets:mptr", "@xlink:type='simple'", "mptr is not simple"),
    Rule("CSIP112", f"{_MAIN}/mets:div/mets:mptr", "@LOCTYPE='URL'", "mptr is not LOCTYPE URL"),
)  # fmt: skip
FILE_RULES = (
    ("CSIP67", "ID"),
    ("CSIP68", "MIMETYPE"),
    ("CSIP69", "SIZE"),
    ("CSIP70", "CREATED"),
    ("CSIP71", "CHECKSUM"),
    ("CSIP72", "CHECKSUMTYPE"),
)
_PROFILE_PART = {"SIP": "E-ARK-SIP", "AIP": "E-ARK-AIP", "DIP": "E-ARK-DIP"}


def check_rules(root: etree._Element, path: str) -> Iterator[Problem]:
    """Every rule over the document without its ``mets:file`` elements."""
    if root.tag != "{http://www.loc.gov/METS/}mets":
        yield csip("CSIPSTR4", path, "the root element is not mets of the METS namespace")
        return
    for rule in RULES:
        for node in _select(root, rule.each):
            if not node.xpath(f"boolean({rule.holds})", namespaces=NAMESPACES):
                yield csip(rule.code, path, rule.text)
                break


def check_package_type(root: etree._Element, path: str, expected: str) -> Iterator[Problem]:
    """AIPM2, AIPM3 and their SIP and DIP counterparts."""
    profile = root.get("PROFILE", "")
    if _PROFILE_PART[expected] not in profile:
        yield csip(f"{expected}M2" if expected == "AIP" else f"{expected}2", path, f"PROFILE {profile}")
    for header in _select(root, "mets:metsHdr"):
        found = header.get(f"{{{NAMESPACES['csip']}}}OAISPACKAGETYPE", "")
        if found and found != expected:
            yield csip("AIPM3" if expected == "AIP" else "CSIP9", path, f"package type {found}")


def _select(root: etree._Element, expression: str) -> list[etree._Element]:
    if expression == ".":
        return [root]
    return cast("list[etree._Element]", root.xpath(expression, namespaces=NAMESPACES))


def csip(code: str, path: str, found: str) -> Problem:
    """A finding under an E-ARK rule."""
    return standard_problem(code, path, standard="E-ARK CSIP/AIP 2.2.0", found=found)
