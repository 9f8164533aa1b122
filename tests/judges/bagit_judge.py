"""bagit.py's verdict on a bag; exit 1 on anything but “valid”."""

import logging
import sys

import bagit

logging.basicConfig(level=logging.WARNING)
bagit.Bag(sys.argv[1]).validate(processes=1)
print("valid")
