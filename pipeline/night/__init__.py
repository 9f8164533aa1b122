"""The night: what agencies left in the drop box is taken in, each once, in fair order, within limits."""

from pipeline.night.deliveries import Delivery, find_deliveries
from pipeline.night.run import NightLimits, NightReport, Watch, run_night, unwatched

__all__ = ["Delivery", "NightLimits", "NightReport", "Watch", "find_deliveries", "run_night", "unwatched"]
