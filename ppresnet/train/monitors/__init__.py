"""What watches a run: numbers, histograms, pictures, and the places they go to. None of it can change or end a run."""

from ppresnet.train.monitors.choose import expect_packages, open_monitors, open_sinks
from ppresnet.train.monitors.isolation import Isolation, Monitors, Sinks
from ppresnet.train.monitors.protocol import Monitor, Numbers, Sink

__all__ = [
    "Isolation",
    "Monitor",
    "Monitors",
    "Numbers",
    "Sink",
    "Sinks",
    "expect_packages",
    "open_monitors",
    "open_sinks",
]
