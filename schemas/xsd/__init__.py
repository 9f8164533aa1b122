"""XML schemas, resolved without network: METS from metsrw's wheel, the small ones our own."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import metsrw
from lxml import etree

METS_XSD = Path(metsrw.__file__).parent / "resources" / "mets.xsd"
XLINK_XSD = Path(str(files("schemas.xsd") / "xlink.xsd"))
CSIP_XSD = Path(str(files("schemas.xsd") / "csip-extension.xsd"))
PACKAGE_SCHEMAS = {
    "mets.xsd": METS_XSD,
    "xlink.xsd": XLINK_XSD,
    "DILCISExtensionMETS.xsd": CSIP_XSD,
}
"""What an AIP and a DIP carry in ``schemas/``, by file name."""

_WRAPPER = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
    targetNamespace="urn:stele:mets">
  <xs:import namespace="http://www.w3.org/1999/xlink" schemaLocation="{XLINK_XSD.as_uri()}"/>
  <xs:import namespace="http://www.loc.gov/METS/" schemaLocation="{METS_XSD.as_uri()}"/>
  <xs:import namespace="https://DILCIS.eu/XML/METS/CSIPExtensionMETS"
      schemaLocation="{CSIP_XSD.as_uri()}"/>
</xs:schema>"""


@cache
def mets_schema() -> etree.XMLSchema:
    """METS 1.12 with XLink and the CSIP extension."""
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    return etree.XMLSchema(etree.fromstring(_WRAPPER.encode(), parser))
