"""Are the files what their formats demand? Tools answer; here it is decided what follows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from packages.package_file import FileValidation
from packages.premis import EventOutcome, EventType
from packages.problems.catalogue import problem
from packages.worklist import Worklist
from pipeline.context import IngestContext
from pipeline.formats.tool import ValidationResult, Validity
from pipeline.stage_report import StageReport

if TYPE_CHECKING:
    from pipeline.examine import ExaminedFile

__all__ = ["ValidationCheck"]

_RISK = "risk: "
_S_PER_FILE, _MIN_BYTES_PER_S = 0.5, 1 << 20
"""What a slow tool needs; the agreement's ``max_cpu_seconds`` come on top."""
_SHOWN_TO_BE_VALID = (Validity.VALID, Validity.WELL_FORMED)


class ValidationCheck:
    """The check of one package's files, batch by batch."""

    def __init__(self, context: IngestContext, report: StageReport) -> None:
        self._context, self._report = context, report
        self._validation = context.tools.validation
        self._absent: Counter[str] = Counter()
        self._tools: Counter[str] = Counter()
        self._spent_s = 0.0
        self._over_budget = False
        self._allowed_s = context.agreement.limits.max_cpu_seconds

    def check(self, files: Sequence[ExaminedFile]) -> Iterator[tuple[int, FileValidation]]:
        """What tools say of these files, by row; nothing for those that no tool looks at."""
        if self._validation is None:
            return
        policy = self._context.tools.policy
        wanted = [f for f in files if f.size and policy.rule_for(f.known).validator != "off"]
        if self._is_over_budget(wanted):
            return
        began = time.monotonic()
        verdicts = self._validation.check([(file.place, file.known) for file in wanted])
        self._spent_s += time.monotonic() - began
        for file, verdict in zip(wanted, verdicts, strict=True):
            for state in self._validation.absent_for(file.known):
                self._absent[f"{state.name} ({state.problem})"] += 1
            self._judge(file, verdict)
            if verdict.tool:
                self._tools[verdict.tool] += 1
                messages = tuple(message[:500] for message in verdict.messages[:20])
                facts = tuple(sorted(verdict.facts.items()))
                yield file.row, FileValidation(verdict.validity, verdict.tool, messages, facts)

    def _is_over_budget(self, wanted: Sequence[ExaminedFile]) -> bool:
        """Whether the files so far took longer than tools need for what they can read; said once."""
        if self._spent_s > self._allowed_s:
            if not self._over_budget:
                self._over_budget = True
                allowed = f"{self._allowed_s:.0f} seconds in format tools"
                self._report.add(
                    problem("ARC-BUDGET", expected=allowed, found=f"{self._spent_s:.0f} seconds")
                )
            return True
        self._allowed_s += len(wanted) * _S_PER_FILE + sum(file.size for file in wanted) / _MIN_BYTES_PER_S
        return False

    def _judge(self, file: ExaminedFile, verdict: ValidationResult) -> None:
        context = self._context
        errors = [message for message in verdict.messages if not message.startswith(_RISK)]
        for message in verdict.messages:
            if message.startswith(_RISK):
                self._report.add(problem("FMT-FEATURE", file.path, found=message.removeprefix(_RISK)))
        said = f"{verdict.tool}: {'; '.join(errors[:3])}"
        if verdict.validity is Validity.NOT_VALID:
            self._not_valid(file, said)
        elif verdict.validity is Validity.UNKNOWN:
            self._report.add(problem("FMT-NOT-CHECKED", file.path, found=said))
        rule = context.tools.policy.rule_for(file.known)
        if rule.validator == "required" and verdict.validity not in _SHOWN_TO_BE_VALID:
            self._report.add(problem("FMT-REVIEW", file.path, expected=rule.reason, found=said))
            self._report.ask_review(f"{rule.name}: {file.path} is not shown to be valid")

    def _not_valid(self, file: ExaminedFile, said: str) -> None:
        context = self._context
        follows = context.agreement.formats.not_valid
        code = "FMT-NOT-VALID-REFUSED" if follows == "refused" else "FMT-NOT-VALID"
        self._report.add(problem(code, file.path, expected=file.known.name, found=said))
        if follows == "review":
            self._report.ask_review(f"{file.path} is not valid")

    def close(self, worklist: Worklist) -> None:
        """Say once a package what was done, and what was not for want of a tool."""
        self._is_over_budget(())
        if self._validation is None:
            self._report.event(
                EventType.VALIDATION, "format validation is switched off",
                outcome=EventOutcome.WARNING, note="not checked",
            )  # fmt: skip
            return
        for name, files in self._absent.items():
            self._report.add(problem("FMT-TOOL-ABSENT", found=name, expected=f"{files:,} file(s)"))
        totals = dict(worklist.validity_totals())
        if not totals and not self._absent:
            return  # nothing in it that any tool could judge
        by = ", ".join(f"{tool} ×{files}" for tool, files in self._tools.most_common(20))
        absent = "; ".join(f"not there: {name}" for name in self._absent)
        note = "; ".join(filter(None, (", ".join(f"{v} ×{n}" for v, n in totals.items()), by, absent)))
        failed = bool(totals.get(Validity.NOT_VALID))
        self._report.event(
            EventType.VALIDATION, "formats of files checked",
            outcome=EventOutcome.WARNING if failed or self._absent else EventOutcome.SUCCESS, note=note,
        )  # fmt: skip
