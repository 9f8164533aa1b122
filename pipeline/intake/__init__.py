"""The night: what agencies left in the drop box is taken in, each once, in fair order, within limits."""

from pipeline.intake.boxes import BucketBox, DropBox, FolderBox
from pipeline.intake.deliveries import Delivery, find_deliveries
from pipeline.intake.intake import Hands, Intake, OneByOne, take_from_drop_box
from pipeline.intake.nightly import NightLimits, NightReport, Watch, run_night, unwatched
from pipeline.intake.state import NightState, night_state

__all__ = [
    "BucketBox",
    "Delivery",
    "DropBox",
    "FolderBox",
    "Hands",
    "Intake",
    "NightLimits",
    "NightReport",
    "NightState",
    "OneByOne",
    "Watch",
    "find_deliveries",
    "night_state",
    "run_night",
    "take_from_drop_box",
    "unwatched",
]
