"""eark-validator's verdict, offline and strict: an error, a warning or a crash is exit 1."""

import importlib.util
import sys
import urllib.request
from pathlib import Path

_package = Path(importlib.util.find_spec("eark_validator").origin).parent
_vocabularies = _package / "ipxml" / "resources" / "vocabs"
_real = urllib.request.urlopen


def _offline(url, *args, **kwargs):
    """It fetches its vocabularies at import, though the wheel carries them."""
    if isinstance(url, str) and url.startswith("https://earkcsip.dilcis.eu/schema/"):
        return (_vocabularies / url.rpartition("/")[2]).open("rb")
    return _real(url, *args, **kwargs)


urllib.request.urlopen = _offline

from eark_validator.packages import PackageValidator  # noqa: E402

report = PackageValidator(Path(sys.argv[1])).validation_report
messages = list(report.structure.messages)
if report.metadata:
    messages += report.metadata.schema_results.messages
    messages += report.metadata.schematron_results.messages
bad = [m for m in messages if m.severity.value in ("Error", "Warning")]
for message in bad:
    print(message.severity.value, message.rule_id, message.location, message.message)
if bad or not report.metadata:
    sys.exit(1)
print("valid")
