"""metsrw reads the Archivematica METS of a package; every file it lists must be on disk, whole."""

import hashlib
import sys
from pathlib import Path

import metsrw

package = Path(sys.argv[1])
(sidecar,) = (package / "metadata" / "preservation").glob("METS.*.xml")
document = metsrw.METSDocument.fromfile(str(sidecar))
files = [entry for entry in document.all_files() if entry.type == "Item"]
objects = 0
for entry in files:
    content = (package / entry.path).read_bytes()
    if entry.checksumtype != "SHA-512" or hashlib.sha512(content).hexdigest() != entry.checksum:
        sys.exit(f"{entry.path}: checksum differs")
    if entry.use == "original":
        (described,) = entry.get_premis_objects()
        if described.message_digest != entry.checksum:
            sys.exit(f"{entry.path}: PREMIS digest differs")
        objects += 1
on_disk = {p for p in package.rglob("*") if p.is_file()}
listed = {package / entry.path for entry in files} | {sidecar, package / "METS.xml"}
if on_disk != listed:
    sys.exit(f"not the same files: {sorted(map(str, on_disk ^ listed))[:5]}")
print(f"valid: {len(files)} files, {objects} PREMIS objects")
