"""What the planes draw at random, from one seed for both: SplitMix64 in the place of `secrets`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sfu.plane.course
import sfu.plane.outgoing
import sfu.plane.transport

MASK = (1 << 64) - 1


class SplitMix:
    """As `sfu/plane/native/src/dice.rs`."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def randbits(self, bits: int) -> int:
        if bits != 32:
            raise ValueError("the native plane draws words")
        return self.next() >> 32

    def randbelow(self, limit: int) -> int:
        if limit != 0x8000:
            raise ValueError("the native plane draws first numbers")
        return self.next() >> 49


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """While it lasts the Python plane draws what a native one with this seed does."""
    modules: list[Any] = [sfu.plane.course, sfu.plane.outgoing, sfu.plane.transport]
    before, dice = modules[0].secrets, SplitMix(seed)
    for module in modules:
        module.secrets = dice
    try:
        yield
    finally:
        for module in modules:
            module.secrets = before
