"""One scheduler asks all hosts for signs of life, and reports changes and misses in bulk."""

from pmwatchd.io.heartbeat.scheduler import Scheduler

__all__ = ["Scheduler"]
