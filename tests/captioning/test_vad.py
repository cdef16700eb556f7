"""Who speaks softly is heard; what merely hisses is not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._speech import read
from captioning.segmenter import Opened, Segmenter
from captioning.vad import VoiceActivity

from .speech import ASSETS

CHANCE = np.random.default_rng(5)


def opened(samples: np.ndarray) -> int:
    """How many utterances begin in 48 kHz samples."""
    activity, segmenter = VoiceActivity(), Segmenter()
    quantised = np.round(samples[::3] * 32768).astype(np.int16).astype(np.float32) / 32768
    events = [e for p, energy in activity.feed(quantised) for e in segmenter.feed(p, energy)]
    return sum(isinstance(event, Opened) for event in events)


@pytest.mark.parametrize("decibels", [0, -20, -50])
def test_a_voice_far_from_its_microphone_is_heard(decibels: int) -> None:
    voice = read(ASSETS / "en-dose.opus")
    quiet = voice / np.max(np.abs(voice)) * 0.3 * 10 ** (decibels / 20)
    hiss = CHANCE.standard_normal(len(voice)) * 0.00003
    assert opened(quiet + hiss) == opened(voice) == 1


@pytest.mark.parametrize("level", [0.0001, 0.001, 0.01, 0.1])
def test_hiss_of_any_level_is_not_speech(level: float) -> None:
    assert opened(CHANCE.standard_normal(20 * 48_000) * level) == 0
