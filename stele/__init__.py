"""The front door: command line, settings, and the one place that chooses real components."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("stele")
except PackageNotFoundError:  # a bare checkout on the path
    __version__ = "0.1.0"
