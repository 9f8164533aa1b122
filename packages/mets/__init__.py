"""METS: the E-ARK dialect we write, the rules it must obey, the Archivematica dialect beside it."""
