"""Errors of the pipeline: our side is broken, the content is not to blame.

PipelineError
├── SubmissionUnreadable   the path does not exist or we may not read it
├── WorkAreaUnusable       no room or no permission where we work
├── ToolFailed             a program we depend on crashed or answered nonsense
├── DamagedArchive         what the catalogue says is kept is not there
└── UnknownPackage         no AIP of this id
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of this layer. The message is a sentence for an operator."""


class SubmissionUnreadable(PipelineError):
    """The submission cannot be opened at all."""


class WorkAreaUnusable(PipelineError):
    """Our own working space cannot take the package."""


class ToolFailed(PipelineError):
    """A tool crashed or gave no usable answer."""


class UnknownPackage(PipelineError):
    """There is no such AIP."""


class DamagedArchive(PipelineError):
    """The archive itself needs repair before this can go on."""
