"""What `consilium models tune` tries, chooses and writes."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from captioning.decode import RATE
from captioning.engine import Request
from captioning.hypothesis import Hypothesis
from captioning.tune import Trial, best, compute_for, measure, plans
from signaling.settings_file import with_settings
from signaling.tuning import write


def test_a_core_is_left_for_media_and_threads_times_workers_never_exceed_the_rest() -> None:
    assert plans("cpu", 1, {"int8"}) == [("int8", 1, 1)]
    assert plans("cpu", 2, {"int8", "float32"}) == [("int8", 1, 1), ("float32", 1, 1)]
    eight = plans("cpu", 8, {"int8"})
    assert eight == [("int8", 1, 7), ("int8", 2, 3), ("int8", 4, 1), ("int8", 7, 1)]
    assert plans("cuda", 16, {"float16", "int8"}) == [("float16", 1, 1), ("int8", 1, 1)]


def test_most_voices_win_and_among_near_ones_the_soonest_answer() -> None:
    slow = Trial("int8", 1, 4, draft=0.4, full=1.0, together=0.2)
    soon = Trial("int8", 2, 2, draft=0.2, full=0.5, together=0.105)
    few = Trial("int8", 4, 1, draft=0.1, full=0.3, together=0.08)
    assert (slow.voices, few.voices) == (20.0, 12.5)
    assert best([slow, soon, few]) == soon
    with pytest.raises(ValueError):
        best([])


def test_numbers_are_chosen_by_the_device_unless_told() -> None:
    assert (compute_for("auto", "cpu"), compute_for("auto", "cuda")) == ("int8", "float16")
    assert compute_for("float32", "cuda") == "float32"


class Counting:
    languages: tuple[str, ...] = ("en",)
    multilingual = False
    batch = 4

    def __init__(self) -> None:
        self.calls: list[tuple[int, bool]] = []

    def recognise(self, requests: Sequence[Request]) -> list[Hypothesis | None]:
        self.calls.append((len(requests), requests[0].full))
        return [None for _ in requests]


def test_one_voice_a_full_pass_and_several_at_once_are_measured() -> None:
    engine = Counting()
    speech = np.zeros(14 * RATE, np.float32)
    (trial,) = measure(lambda compute, threads: engine, speech, [("int8", 2, 3)])
    assert (trial.compute, trial.threads, trial.workers) == ("int8", 2, 3)
    assert set(engine.calls) == {(1, False), (1, True), (4, False)}


SETTINGS = """# ours
secret_key_file = "x"  # not a setting; only TOML matters here

[captions]
model = "whisper-base"  # embedded
threads = 1  # of them

[log]
threads = "mine"
"""


def test_settings_are_changed_in_place_and_all_else_stays() -> None:
    changed = with_settings(SETTINGS, "captions", {"threads": 3, "compute": "int8"})
    assert 'model = "whisper-base"  # embedded\nthreads = 3  # of them\n' in changed
    assert tomllib.loads(changed)["captions"] == {"model": "whisper-base", "threads": 3, "compute": "int8"}
    assert tomllib.loads(changed)["log"] == {"threads": "mine"} and changed.startswith("# ours\n")
    assert tomllib.loads(with_settings("", "captions", {"threads": 2})) == {"captions": {"threads": 2}}


def test_a_section_written_otherwise_is_left_alone() -> None:
    with pytest.raises(ValueError):
        with_settings("captions = { threads = 1 }\n", "captions", {"threads": 2})


def test_the_file_is_made_or_changed_whole(tmp_path: Path) -> None:
    file = tmp_path / "consilium.toml"
    trial = Trial("int8", 2, 3, 0.1, 0.2, 0.05)
    write(file, trial)
    assert tomllib.loads(file.read_text()) == {"captions": {"compute": "int8", "threads": 2, "workers": 3}}
    file.write_text("[captions\n")
    with pytest.raises(ValueError, match="not TOML"):
        write(file, trial)
    assert file.read_text() == "[captions\n" and list(tmp_path.iterdir()) == [file]
