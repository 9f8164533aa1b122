"""ocfl-py's verdict on one object folder; a warning counts as a failure."""

import sys

from ocfl.validator import Validator

validator = Validator(log_warnings=True)
valid = validator.validate_object(sys.argv[1])
text = validator.status_str()
print(text)
if not valid or "[W" in text or "[E" in text:
    sys.exit(1)
