"""Encoders that help themselves to the machine: as root, SVT-AV1 puts the calling thread under SCHED_FIFO, for good.

Whatever that thread starts afterwards, browsers included, inherits it; a busy one then starves everything else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Gives the calling thread its scheduling policy back, whatever the block did to it."""
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)
