"""The rules of E-ARK CSIP 2.x over one METS document, as data; SIP, AIP and DIP rules on top of them.

Rules are XPath 1.0 over the document (of each file group only the first file is left in it).
A rule under an optional parent applies only when the parent is there (CSIP 2.2.0 §5).
What an expression may ask about the package around the document are the variables of
``PackageContext``: ``$representation``, ``$descriptive`` and so on.
"""

from __future__ import annotations

from typing import Final

from packages.mets.rules.rule import NO_END, Rule
from packages.problems.problem import Severity

__all__ = ["PROFILE_RULES", "RULES"]

_WARNING = Severity.WARNING


def _one_of(value: str, *terms: str) -> str:
    return "(" + " or ".join(f"{value}='{term}'" for term in terms) + ")"


# DILCIS vocabularies of content categories, content information types, status and package types.
_CATEGORY = _one_of(
    "@TYPE", "Textual works – Print", "Textual works – Digital", "Textual works – Electronic Serials",
    "Digital Musical Composition (score-based representations)", "Photographs – Print",
    "Photographs – Digital", "Other Graphic Images – Print", "Other Graphic Images – Digital",
    "Microforms", "Audio – On Tangible Medium (digital or analog)", "Audio – Media-independent (digital)",
    "Motion Pictures – Digital and Physical Media", "Video – File-based and Physical Media", "Software",
    "Datasets", "Geospatial Data", "Databases", "Websites", "Collection", "Event", "Interactive resource",
    "Physical object", "Service", "Mixed", "Other", "OTHER",
)  # fmt: skip
_PLAIN_TYPES = ("ERMS", "SIARD1", "SIARD2", "SIARDDK", "GeoData", "MIXED")


def _content_type(attribute: str) -> str:
    """The vocabulary grows by one name a specification (``citssiard_v1_0``); their form is known."""
    return f"({_one_of(attribute, *_PLAIN_TYPES)} or starts-with({attribute}, 'cits'))"


_STATUS = _one_of("@STATUS", "CURRENT", "SUPERSEDED")
_PACKAGE_TYPE = _one_of("@csip:OAISPACKAGETYPE", "SIP", "AIP", "DIP", "AIU", "AIC")
_USES = " or ".join(
    f"starts-with(@USE, '{use}')" for use in ("Documentation", "Schemas", "Representations", "Metadata")
)

_SOFTWARE = "mets:agent[@ROLE='CREATOR'][@OTHERTYPE='SOFTWARE']"
_CREATED_BY = "mets:metsHdr[mets:agent[@ROLE='CREATOR']]"
_MAP = "mets:structMap[@LABEL='CSIP']"
_MAIN = f"{_MAP}/mets:div"
_GROUPS = "mets:fileSec/mets:fileGrp"
_TYPE, _OTHER = "@csip:CONTENTINFORMATIONTYPE", "@csip:OTHERCONTENTINFORMATIONTYPE"

_ROOT = (
    Rule("CSIP1", ".", "string(@OBJID)", "mets has no OBJID"),
    Rule("CSIP2", ".", "string(@TYPE)", "mets has no TYPE"),
    Rule("CSIP2", ".[string(@TYPE)]", _CATEGORY, "TYPE is not a content category of the vocabulary"),
    Rule(
        "CSIP1", ".[string(@OBJID)]", "not($folder) or @OBJID=$folder",
        "the OBJID of a representation is not the name of its folder", _WARNING,
    ),
    Rule(
        "CSIP3", ".[@TYPE='Other' or @TYPE='OTHER']", "string(@csip:OTHERTYPE)",
        "TYPE is Other, but csip:OTHERTYPE does not say what",
    ),
    Rule(
        "CSIP4", ".", f"string({_TYPE}) or $representation", "no csip:CONTENTINFORMATIONTYPE", _WARNING
    ),
    Rule(
        "CSIP4", ".", f"string({_TYPE}) or not($representation)",
        "a representation's METS must have a csip:CONTENTINFORMATIONTYPE",
    ),
    Rule(
        "CSIP4", f".[string({_TYPE})]", f"{_content_type(_TYPE)} or {_TYPE}='OTHER'",
        "csip:CONTENTINFORMATIONTYPE is not in the vocabulary",
    ),
    Rule(
        "CSIP4", f".[{_TYPE}='OTHER']", f"string({_OTHER})",
        "csip:CONTENTINFORMATIONTYPE is OTHER, but csip:OTHERCONTENTINFORMATIONTYPE does not say what",
    ),
    Rule("CSIP6", ".", "string(@PROFILE)", "mets has no PROFILE"),
    Rule(
        "CSIP6", ".[string(@PROFILE)]", "contains(@PROFILE, ':')",
        "PROFILE is not the address of a METS profile",
    ),
    Rule(
        "CSIP6", ".[contains(@PROFILE, ':')]", "contains(@PROFILE, 'E-ARK-')",
        "PROFILE is not the address of an E-ARK profile", _WARNING,
    ),
)  # fmt: skip
_HEADER = (
    Rule("CSIP117", ".", "mets:metsHdr", "there is no metsHdr"),
    Rule("CSIP7", "mets:metsHdr", "string(@CREATEDATE)", "metsHdr has no CREATEDATE"),
    Rule("CSIP8", "mets:metsHdr", "string(@LASTMODDATE)", "metsHdr has no LASTMODDATE", _WARNING),
    Rule(
        "CSIP8", "mets:metsHdr[@LASTMODDATE]",
        # A day's grace: the dates may be in any time zone.
        "not($today) or not(number(translate(substring(@LASTMODDATE,1,10),'-','')) > $today + 1)",
        "LASTMODDATE is in the future",
    ),
    Rule("CSIP9", "mets:metsHdr", "string(@csip:OAISPACKAGETYPE)", "no csip:OAISPACKAGETYPE"),
    Rule(
        "CSIP9", "mets:metsHdr[string(@csip:OAISPACKAGETYPE)]", _PACKAGE_TYPE,
        "csip:OAISPACKAGETYPE is none of SIP, AIP, DIP, AIU, AIC",
    ),
    Rule("CSIP10", "mets:metsHdr", "mets:agent", "metsHdr names no agent"),
    Rule("CSIP11", "mets:metsHdr[mets:agent]", "mets:agent[@ROLE='CREATOR']", "no agent is CREATOR"),
    Rule(
        "CSIP11", "mets:metsHdr[mets:agent[@TYPE='OTHER'][@OTHERTYPE='SOFTWARE']]",
        "mets:agent[@TYPE='OTHER'][@OTHERTYPE='SOFTWARE'][@ROLE='CREATOR']",
        "the software that made the package does not have the role CREATOR",
    ),
    Rule(
        "CSIP12", _CREATED_BY, "mets:agent[@ROLE='CREATOR'][@TYPE='OTHER']",
        "no CREATOR is of TYPE OTHER, as the software that made the package must be",
    ),
    Rule(
        "CSIP13", f"{_CREATED_BY}[mets:agent[@ROLE='CREATOR'][@TYPE='OTHER']]",
        "mets:agent[@ROLE='CREATOR'][@TYPE='OTHER'][@OTHERTYPE='SOFTWARE']",
        "no CREATOR is of OTHERTYPE SOFTWARE",
    ),
    Rule(
        "CSIP14", f"mets:metsHdr/{_SOFTWARE}", "normalize-space(mets:name)", "the software has no name"
    ),
    Rule(
        "CSIP15", f"mets:metsHdr/{_SOFTWARE}", "count(mets:note)=1 and normalize-space(mets:note)",
        "the software agent needs exactly one note, its version",
    ),
    Rule(
        "CSIP16", f"mets:metsHdr/{_SOFTWARE}[mets:note]",
        "mets:note[@csip:NOTETYPE='SOFTWARE VERSION']",
        "the software agent's note is not marked SOFTWARE VERSION",
    ),
)  # fmt: skip
_METADATA = (
    Rule(
        "CSIP17", ".", "mets:dmdSec or not($descriptive)",
        "there are files in metadata/descriptive, but no dmdSec",
    ),
    Rule("CSIP17", ".", "mets:dmdSec or $descriptive or $representation", "there is no dmdSec", _WARNING),
    Rule("CSIP18", "mets:dmdSec", "@ID", "dmdSec has no ID"),
    Rule("CSIP19", "mets:dmdSec", "@CREATED", "dmdSec has no CREATED"),
    Rule("CSIP20", "mets:dmdSec", "@STATUS", "dmdSec has no STATUS", _WARNING),
    Rule("CSIP20", "mets:dmdSec[@STATUS]", _STATUS, "STATUS is neither CURRENT nor SUPERSEDED"),
    Rule(
        "CSIP21", "mets:dmdSec", "mets:mdRef or not($descriptive)",
        "there are files in metadata/descriptive, but dmdSec refers to none",
    ),
    Rule("CSIP21", "mets:dmdSec", "mets:mdRef or $descriptive", "dmdSec has no mdRef", _WARNING),
    Rule("CSIP25", "mets:dmdSec/mets:mdRef", "@MDTYPE", "mdRef has no MDTYPE"),
    Rule(
        "CSIP31", ".", "mets:amdSec or not($preservation)",
        "there are files in metadata/preservation, but no amdSec",
    ),
    Rule("CSIP31", ".", "mets:amdSec or $preservation or $representation", "there is no amdSec", _WARNING),
    Rule("CSIP31", ".", "count(mets:amdSec)<2", "there is more than one amdSec", _WARNING),
    Rule("CSIP32", "mets:amdSec", "mets:digiprovMD", "amdSec has no digiprovMD", _WARNING),
    Rule("CSIP33", "mets:amdSec/mets:digiprovMD", "@ID", "digiprovMD has no ID"),
    Rule("CSIP34", "mets:amdSec/mets:digiprovMD", "@STATUS", "digiprovMD has no STATUS", _WARNING),
    Rule(
        "CSIP34", "mets:amdSec/mets:digiprovMD[@STATUS]", _STATUS,
        "STATUS is neither CURRENT nor SUPERSEDED",
    ),
    Rule("CSIP35", "mets:amdSec/mets:digiprovMD", "mets:mdRef", "digiprovMD has no mdRef", _WARNING),
    Rule("CSIP39", "mets:amdSec/mets:digiprovMD/mets:mdRef", "@MDTYPE", "mdRef has no MDTYPE"),
    Rule("CSIP46", "mets:amdSec/mets:rightsMD", "@ID", "rightsMD has no ID"),
    Rule("CSIP47", "mets:amdSec/mets:rightsMD", "@STATUS", "rightsMD has no STATUS", _WARNING),
    Rule(
        "CSIP47", "mets:amdSec/mets:rightsMD[@STATUS]", _STATUS,
        "STATUS is neither CURRENT nor SUPERSEDED",
    ),
    Rule("CSIP48", "mets:amdSec/mets:rightsMD", "mets:mdRef", "rightsMD has no mdRef", _WARNING),
    Rule("CSIP52", "mets:amdSec/mets:rightsMD/mets:mdRef", "@MDTYPE", "mdRef has no MDTYPE"),
)  # fmt: skip


def _group(code: str, condition: str, what: str) -> tuple[Rule, Rule]:
    """A group every fileSec needs; that of a representation only should have it.

    A representation's documentation and schemas are usually the package's, listed in the root METS.
    """
    there, text = f"mets:fileGrp[{condition}]", f"no file group for {what}"
    return (
        Rule(code, "mets:fileSec", f"{there} or $representation", text),
        Rule(code, "mets:fileSec", f"{there} or not($representation)", text, _WARNING),
    )


_FILES = (
    Rule("CSIP58", ".", "mets:fileSec", "there is no fileSec", _WARNING),
    Rule("CSIP59", "mets:fileSec", "@ID", "fileSec has no ID"),
    *_group("CSIP60", "@USE='Documentation'", "documentation"),
    *_group("CSIP113", "@USE='Schemas'", "schemas"),
    *_group("CSIP114", "starts-with(@USE, 'Representations')", "representations"),
    Rule(
        "CSIP62", f"{_GROUPS}[starts-with(@USE, 'Representations')]", _TYPE,
        "a group of representations has no csip:CONTENTINFORMATIONTYPE", _WARNING,
    ),
    Rule(
        "CSIP63", f"{_GROUPS}[{_TYPE}='OTHER']", f"string({_OTHER})",
        "a group is of type OTHER, but csip:OTHERCONTENTINFORMATIONTYPE does not say which",
    ),
    Rule(
        "CSIP63", f"{_GROUPS}[{_OTHER}]", f"{_TYPE}='OTHER'",
        "csip:OTHERCONTENTINFORMATIONTYPE is only for groups of type OTHER",
    ),
    Rule(
        "CSIP63", f"{_GROUPS}[{_TYPE}='OTHER'][string({_OTHER})]", f"not{_content_type(_OTHER)}",
        "csip:OTHERCONTENTINFORMATIONTYPE repeats a type of the vocabulary",
    ),
    Rule("CSIP64", _GROUPS, "@USE", "a fileGrp has no USE"),
    Rule("CSIP64", f"{_GROUPS}[@USE]", f"$representation or {_USES}", "USE is not in the vocabulary"),
    Rule(
        "CSIP64", f"{_GROUPS}[@USE]", f"not($representation) or {_USES} or starts-with(@USE, 'Data')",
        "USE is not in the vocabulary", _WARNING,
    ),
    Rule("CSIP65", _GROUPS, "@ID", "a fileGrp has no ID"),
    # Both groups are mandatory, so they may be empty where there is nothing to list.
    Rule(
        "CSIP66", _GROUPS,
        ".//mets:file or (@USE='Documentation' and not($documentation))"
        " or (@USE='Schemas' and not($schemas))",
        "a fileGrp lists no file",
    ),
)  # fmt: skip


def _division(use: str, *, warn: str, ident: str, pointers: str, file_id: str) -> tuple[Rule, ...]:
    """The division that stands for the groups of one use, and its pointers at them."""
    groups = f"/mets:mets/{_GROUPS}[starts-with(@USE, '{use}')]"
    division = f"{_MAIN}/mets:div[@LABEL='{use}']"
    lacking = f"the division {use} does not point at its file group"
    astray = f"the division {use} points at something that is not its file group"
    rules = [
        Rule(warn, _MAIN, f"count(mets:div[@LABEL='{use}'])<2", f"there is more than one division {use}",
             _WARNING),
        Rule(warn, f"{_MAIN}[{groups}]", f"mets:div[starts-with(@LABEL,'{use}')]", f"no division {use}",
             _WARNING),
        Rule(ident, division, "@ID", f"the division {use} has no ID"),
        Rule(file_id, f"{division}/mets:fptr", "@FILEID", f"a pointer of the division {use} has no FILEID"),
    ]  # fmt: skip
    # That there are pointers is a MUST until 2.1 and a SHOULD in 2.2; what they point at is a MUST ever.
    for severity, since, before in ((Severity.ERROR, (2, 0), (2, 2)), (_WARNING, (2, 2), NO_END)):
        points = f"mets:fptr or not({groups})"
        rules.append(Rule(pointers, division, points, lacking, severity, since, before))
    rules.append(Rule(pointers, f"{division}/mets:fptr[@FILEID]", f"@FILEID = {groups}/@ID", astray))
    return tuple(rules)


def _all_current(code: str, sections: str, attribute: str, what: str) -> Rule:
    """Of every current section the division Metadata has the ID, or that of the section around it."""
    listed = f"/mets:mets/{_MAIN}/mets:div[@LABEL='Metadata']/@{attribute}"
    each = f"{sections}[@ID][not(@STATUS) or @STATUS='CURRENT'][{listed}]"
    padded = f"concat(' ', normalize-space({listed}), ' ')"
    own, around = (f"contains({padded}, concat(' ', {ident}, ' '))" for ident in ("@ID", "../@ID"))
    return Rule(code, each, f"{own} or (../@ID and {around})", what, _WARNING)


_STRUCTURE = (
    Rule("CSIP80", ".", f"count({_MAP})=1", "there must be exactly one structMap with LABEL CSIP"),
    Rule("CSIP81", _MAP, "@TYPE='PHYSICAL'", "the CSIP structMap is not TYPE PHYSICAL"),
    Rule("CSIP82", "mets:structMap[@TYPE='PHYSICAL']", "@LABEL='CSIP'", "structMap LABEL is not CSIP"),
    Rule("CSIP83", _MAP, "@ID", "the CSIP structMap has no ID"),
    Rule("CSIP84", _MAP, "count(mets:div)=1", "the CSIP structMap needs one main div"),
    Rule("CSIP85", _MAIN, "@ID", "the main div has no ID"),
    Rule(
        "CSIP88", _MAIN, "count(mets:div[@LABEL='Metadata'])=1",
        "there must be exactly one division Metadata",
    ),
    Rule("CSIP89", f"{_MAIN}/mets:div[@LABEL='Metadata']", "@ID", "the division Metadata has no ID"),
    Rule(
        "CSIP91", f"{_MAIN}/mets:div[@LABEL='Metadata']", "@ADMID or not(/mets:mets/mets:amdSec/*)",
        "the division Metadata refers to no administrative metadata", _WARNING,
    ),
    Rule(
        "CSIP92", f"{_MAIN}/mets:div[@LABEL='Metadata']", "@DMDID or not(/mets:mets/mets:dmdSec)",
        "the division Metadata refers to no descriptive metadata", _WARNING,
    ),
    _all_current(
        "CSIP91", "mets:amdSec/*", "ADMID",
        "the division Metadata does not refer to all administrative metadata",
    ),
    _all_current(
        "CSIP92", "mets:dmdSec", "DMDID", "the division Metadata does not refer to all descriptive metadata"
    ),
    *_division("Documentation", warn="CSIP93", ident="CSIP94", pointers="CSIP96", file_id="CSIP116"),
    *_division("Schemas", warn="CSIP97", ident="CSIP98", pointers="CSIP100", file_id="CSIP118"),
    *_division("Representations", warn="CSIP101", ident="CSIP102", pointers="CSIP104", file_id="CSIP119"),
    Rule("CSIP106", f"{_MAIN}/mets:div", "@ID", "a div has no ID"),
    Rule("CSIP107", f"{_MAIN}/mets:div", "@LABEL", "a div has no LABEL"),
    Rule(
        "CSIP109", f"{_MAIN}//mets:div[starts-with(@LABEL,'Representations/')]", "mets:mptr",
        "the division of a representation does not point at its METS",
    ),
    Rule(
        "CSIP109", f"{_MAP}//mets:div[mets:mptr]", "count(mets:mptr)=1",
        "the division of a representation points at more than one METS",
    ),
    Rule(
        "CSIP105",
        f"{_GROUPS}[starts-with(@USE, 'Representations/')]"
        "[.//mets:FLocat[contains(@xlink:href, 'METS.xml')]]",
        f"@USE = /mets:mets/{_MAP}//mets:div/@LABEL",
        "a representation that has a METS has no division of its own", _WARNING,
    ),
    Rule("CSIP108", f"{_MAP}//mets:mptr", "@xlink:title", "mptr does not name its group in its title"),
    Rule("CSIP110", f"{_MAP}//mets:mptr", "string(@xlink:href)", "mptr has no href"),
    Rule("CSIP111", f"{_MAP}//mets:mptr", "@xlink:type='simple'", "mptr is not simple"),
    Rule("CSIP112", f"{_MAP}//mets:mptr", "@LOCTYPE='URL'", "mptr is not LOCTYPE URL"),
)  # fmt: skip
RULES: Final = (*_ROOT, *_HEADER, *_METADATA, *_FILES, *_STRUCTURE)


def _package_type(code: str, name: str) -> Rule:
    each = "mets:metsHdr[string(@csip:OAISPACKAGETYPE)]"
    return Rule(code, each, f"@csip:OAISPACKAGETYPE='{name}'", f"the profile is {name}'s, the type is not")


def _agents(role: str, kinds: tuple[str, ...], numbers: tuple[int, int, int], who: str) -> tuple[Rule, ...]:
    """What E-ARK SIP fixes of an agent that may be there: its type, its name, what its note is."""
    kind, name, note = (f"SIP{number}" for number in numbers)
    agent = f"mets:metsHdr/mets:agent[@ROLE='{role}'][not(@OTHERTYPE='SOFTWARE')]"
    allowed = " or ".join(f"@TYPE='{one}'" for one in kinds)
    return (
        Rule(kind, agent, allowed, f"the {who} is not of TYPE {' or '.join(kinds)}"),
        # SHOULD until 2.1, MUST in 2.2.
        Rule(name, agent, "normalize-space(mets:name)", f"the {who} has no name", since=(2, 2)),
        Rule(
            note, f"{agent}/mets:note[@csip:NOTETYPE]", "@csip:NOTETYPE='IDENTIFICATIONCODE'",
            f"a note of the {who} is not marked IDENTIFICATIONCODE",
        ),
    )  # fmt: skip


PROFILE_RULES: Final = {
    "E-ARK-SIP": (
        _package_type("SIP4", "SIP"),
        *_agents("ARCHIVIST", ("ORGANIZATION", "INDIVIDUAL"), (11, 12, 14), "archival creator"),
        *_agents("PRESERVATION", ("ORGANIZATION",), (28, 29, 31), "preservation agent"),
    ),
    "E-ARK-AIP": (
        _package_type("AIPM3", "AIP"),
        Rule("AIPM5", ".", "mets:amdSec/mets:digiprovMD/mets:mdRef", "no PREMIS file is referred to"),
    ),
    "E-ARK-DIP": (_package_type("DIP3", "DIP"),),
}
"""What a package promises beyond CSIP, by a part of its PROFILE."""
