"""Receiving and verifying one package: what an agency sends is opened in a process that may break.

``judge_apart`` is how it is done; ``judge_here`` is the same in this process, for a caller that is such
a process itself. What is no bag is judged apart too: ``judge_no_bag_apart``, ``judge_document_apart``.
"""

from pipeline.ingest.sandbox.client import judge_apart, judge_document_apart, judge_no_bag_apart
from pipeline.ingest.sandbox.direct import Judge, Judged, judge_here

__all__ = ["Judge", "Judged", "judge_apart", "judge_document_apart", "judge_here", "judge_no_bag_apart"]
