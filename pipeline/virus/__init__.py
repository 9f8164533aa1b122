"""Virus scan: what a scanner says of files, and what it could not look at."""

from pipeline.virus.clamd import Clamd
from pipeline.virus.result import Scanned, ScanResult

__all__ = ["Clamd", "ScanResult", "Scanned"]
