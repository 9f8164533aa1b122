"""The metadata of an AIP, written while its files are described: METS, PREMIS, descriptive, the bag."""
