"""Judging OCFL objects and storage roots, ours and foreign ones, by the codes of the specification.

Read in this order: ``inventory_rules`` (one inventory), ``object_rules`` (an object in a store),
``root_rules`` (a storage root and what is in it). docs/reference/ocfl-codes.md says which of the
specification's codes each of them reports.
"""

from storage.ocfl.validation.object_rules import validate_object
from storage.ocfl.validation.root_rules import RootVerdict, object_roots, validate_root
from storage.ocfl.validation.verdict import ObjectVerdict

__all__ = ["ObjectVerdict", "RootVerdict", "object_roots", "validate_object", "validate_root"]
