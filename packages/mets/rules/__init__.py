"""The requirements of CSIP, SIP and AIP as data, and what applies them to a METS document."""
