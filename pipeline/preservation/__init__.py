"""What happens to AIPs that are kept: copied, audited, repaired, reconciled, updated, removed.

Each action works on the archive's stores and catalogue, records what it did as events, and leaves
those events in storage too (``journal``), so that the catalogue can be made again from there.
"""
