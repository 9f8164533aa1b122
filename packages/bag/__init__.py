"""A BagIt bag (RFC 8493): what its tag files say, read as streams, and the rules for them.

``read_bag`` is the way in; one module for each part of a bag, ``profile`` for BagIt profiles.
"""

from packages.bag.bag import Bag, read_bag

__all__ = ["Bag", "read_bag"]
