"""`consilium models tune`: measures recognition on this machine and writes what is best into the settings file."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from captioning import models, tune
from captioning.catalogue import find
from captioning.decode import RATE, Samples
from signaling.settings import Captions
from signaling.settings_file import with_settings

VOICE = Path(__file__).parent / "demo" / "assets" / "james.opus"
SECONDS = 14


def speech() -> Samples:
    """Some seconds of a demo guest's voice, 16 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    pieces: list[Samples] = []
    with av.open(str(VOICE)) as container:
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    voice = np.concatenate(pieces).astype(np.float32)
    loud = voice[np.abs(voice) > 0.01]
    if not len(loud):
        raise ValueError(f"{VOICE} is silent")
    begin = int(np.argmax(np.abs(voice) > 0.01))
    return np.resize(voice[begin:], SECONDS * RATE)


def run(captions: Captions, folder: Path, cores: int | None, say: Callable[[str], None]) -> tune.Trial:
    """Measure every plan, telling each. Raises ModelError, RuntimeError (the device does not work) or ValueError."""
    model = find(captions.model)
    if model is None or model.purpose != "speech":
        raise ValueError(f"captions.model {captions.model} is no speech model")
    if model.embedded:
        models.install(model, folder)
    place = models.check(model, folder)
    device = tune.device_for(captions.device)
    count = cores or len(os.sched_getaffinity(0))
    plan = tune.plans(device, count, tune.supported(device))
    say(f"{model.name} on {device}, {count} cores; a draft hears {tune.DRAFT:.0f} s, a full pass {tune.FULL:.0f} s")
    trials = []
    for trial in tune.measure(tune.loader(place, device), speech(), plan):
        trials.append(trial)
        say(
            f"{trial.compute:<12} {trial.threads} threads, {trial.workers} workers: draft {trial.draft * 1000:.0f} ms, "
            f"together {trial.together * 1000:5.0f} ms a voice, full pass {trial.full * 1000:5.0f} ms: "
            f"{trial.voices:.1f} voices"
        )
    return tune.best(trials)


def write(file: Path, trial: tune.Trial) -> None:
    """Into the settings file, which is made if there is none. Raises OSError or ValueError; then nothing is changed."""
    text = file.read_text("utf-8") if file.exists() else ""
    try:
        values: dict[str, str | int] = {"compute": trial.compute, "threads": trial.threads, "workers": trial.workers}
        changed = with_settings(text, "captions", values)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}") from error
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(changed, "utf-8")
    if file.exists():
        beside.chmod(file.stat().st_mode & 0o777)
    beside.replace(file)
