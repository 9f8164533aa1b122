"""Intake: what agencies left in the drop boxes is ingested, each once, in fair order, within limits."""

from pipeline.intake.boxes import BucketBox, DropBox, FolderBox
from pipeline.intake.deliveries import Delivery, find_deliveries
from pipeline.intake.intake import Executor, Intake, SerialExecutor, take_from_drop_box
from pipeline.intake.nightly import NightlyLimits, NightlyReport, Watch, run_nightly, unwatched
from pipeline.intake.state import NightlyState, nightly_state

__all__ = [
    "BucketBox",
    "Delivery",
    "DropBox",
    "Executor",
    "FolderBox",
    "Intake",
    "NightlyLimits",
    "NightlyReport",
    "NightlyState",
    "SerialExecutor",
    "Watch",
    "find_deliveries",
    "nightly_state",
    "run_nightly",
    "take_from_drop_box",
    "unwatched",
]
