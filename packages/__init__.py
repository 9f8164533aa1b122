"""Information packages in the OAIS sense: identifiers, digests, problems, bags, METS, PREMIS.

Frozen records and pure codecs only: nothing here opens a file, reads a clock or talks to a server.
"""
