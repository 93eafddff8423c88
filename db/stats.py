"""Numbers that the parts count while they work, read by whoever shows them.

Plain attributes: counting must cost nothing, and nobody here knows how they are shown. They belong
to the event loop; another thread may read them, and sees numbers that are a moment old.
"""

from bisect import bisect_left
from collections import Counter

# What was refused, by code, since the process started: orders, operations and requests.
rejections: Counter[str] = Counter()


class Histogram:
    """How often a value was within which bound, and the sum of all values."""

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last one: beyond every bound
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class WriterStats:
    """What the writer has done, counted for each batch."""

    def __init__(self) -> None:
        self.batch_orders = Histogram(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
        self.commit_seconds = Histogram(
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5
        )
        self.failed_batches = 0
