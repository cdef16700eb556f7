"""What the operator sets, and what the operator is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from captioning.models import default_folder

State = Literal["off", "loading", "ready", "overloaded", "failed"]


@dataclass(frozen=True, slots=True)
class CaptionConfig:
    """`threads` are CTranslate2's threads per worker process, `workers` how many processes share the voices."""

    enabled: bool = True
    models: Path = field(default_factory=default_folder)
    model: str = "whisper-base"
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    compute_type: str = "auto"
    spoken: tuple[str, ...] = ()
    """What is detected in whoever declares nothing (BCP 47); empty for all that the model hears."""
    translators: tuple[str, ...] = ()
    """Models of several languages, as `captioning.multilingual.parse_entry` reads them."""
    translators_first: bool = False
    beam: int = 2
    threads: int = 1
    workers: int = 1
    niceness: int = 10
    redis_url: str = ""
    """Where workers on other machines listen; then none is started here."""

    def for_worker(self) -> dict[str, object]:
        """What a worker on this machine is told (`captioning.worker.Settings`)."""
        return {
            "models": str(self.models),
            "model": self.model,
            "device": self.device,
            "compute_type": self.compute_type,
            "spoken": list(self.spoken),
            "translators": list(self.translators),
            "translators_first": self.translators_first,
            "beam": self.beam,
            "threads": self.threads,
            "niceness": self.niceness,
        }

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= 64:
            raise ValueError(f"captions threads must be 1 to 64, not {self.threads}")
        if not 1 <= self.workers <= 64:
            raise ValueError(f"captions workers must be 1 to 64, not {self.workers}")
        if not 1 <= self.beam <= 8:
            raise ValueError(f"captions beam must be 1 to 8, not {self.beam}")
        if not 0 <= self.niceness <= 19:
            raise ValueError(f"captions niceness must be 0 to 19, not {self.niceness}")


@dataclass(frozen=True, slots=True)
class CaptionStatus:
    """`spoken` and `read` are BCP 47 tags. `lag_ms` is how far the words are behind the voices now. `counters` only
    grow: they count since the service started, worker restarts included."""

    state: State
    spoken: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    lag_ms: float = 0.0
    problem: str | None = None
    queue: int = 0
    streams: int = 0
    counters: dict[str, int] = field(default_factory=dict)
