"""E-ARK information packages (CSIP, SIP, AIP, DIP 2.x): folders, and METS against the files there."""
