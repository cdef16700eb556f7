"""The caption worker: a process of its own, at lower priority, that turns packets into words.

The server starts it as ``python -m captioning.worker --settings JSON --fd N``, on a socket pair. It opens no
connection.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from captioning import models, tune
from captioning.bus import Duplex, FrameSocket
from captioning.catalogue import CATALOGUE, EMBEDDED, find
from captioning.language import base
from captioning.messages import Beat, Failed, Ready, Stop
from captioning.models import ModelError
from captioning.recogniser import Recogniser

if TYPE_CHECKING:
    from captioning.translate import Translator
    from captioning.whisper import WhisperEngine

BEAT = 0.5
PATIENCE = 0.05
log = logging.getLogger("captioning.worker")


class Settings(msgspec.Struct, frozen=True):
    """What a worker is told when it starts; see `captioning.config.CaptionConfig`."""

    models: str
    model: str = "whisper-base"
    device: str = "cpu"
    compute_type: str = "auto"
    threads: int = 1
    niceness: int = 10
    spoken: list[str] = []
    translators: list[str] = []
    translators_first: bool = False
    beam: int = 2


def stay_offline() -> None:
    """Libraries that could fetch a model are told not to, before they are imported."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[name] = "1"


def models_for(settings: Settings) -> tuple[WhisperEngine, Translator]:
    """Install what is embedded, check every byte, load. Raises ModelError with a text for the operator."""
    from captioning.multilingual import Multilingual, parse_entry
    from captioning.pairs import Pairs
    from captioning.translate import Translator
    from captioning.whisper import WhisperEngine

    folder = Path(settings.models)
    model = find(settings.model)
    if model is None or model.purpose != "speech":
        known = ", ".join(m.name for m in CATALOGUE if m.purpose == "speech")
        raise ModelError(f"captions model {settings.model!r} is unknown; known: {known}")
    for name in EMBEDDED:
        embedded = find(name)
        if embedded is not None and (name == model.name or embedded.purpose == "translation"):
            models.install(embedded, folder)
    place = models.check(model, folder)
    try:
        device = tune.device_for(settings.device)
        engine = WhisperEngine(place, device, tune.compute_for(settings.compute_type, device), settings.threads)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"model {model.name} does not load: {error}") from error
    if settings.spoken and not engine.listen_for(map(base, settings.spoken)):
        raise ModelError(f"captions.spoken names no language that {model.name} hears: {', '.join(settings.spoken)}")
    many = [
        Multilingual(
            parse_entry(entry, folder),
            device,
            tune.compute_for(settings.compute_type, device),
            settings.threads,
            settings.beam,
        )
        for entry in settings.translators
    ]
    return engine, Translator(Pairs(folder), engine.multilingual, many, settings.translators_first)


def load(settings: Settings, duplex: Duplex) -> Recogniser:
    """All that a worker needs; tells the server what it can do. Raises ModelError."""
    engine, translator = models_for(settings)
    recogniser = Recogniser(engine, translator, duplex.send)
    duplex.send(Ready(list(engine.languages), translator.readable()))
    return recogniser


def hear_forever(recogniser: Recogniser, duplex: Duplex) -> None:
    """The hearing thread: packets in, heartbeats out. Ends the process when the server says so, or goes."""
    beat_at = 0.0
    code = 0
    try:
        while True:
            messages = duplex.receive(PATIENCE)
            if messages is None or any(isinstance(message, Stop) for message in messages):
                break
            for message in [*messages, None]:
                now = time.monotonic()
                if message is not None:
                    recogniser.handle(message, now)
                if now >= beat_at:
                    beat_at = now + BEAT
                    lag, queue, streams, busy, counters = recogniser.figures(now)
                    duplex.send(Beat(lag, queue, streams, recogniser.overloaded, busy, time.process_time(), counters))
            recogniser.idle(time.monotonic())
    except ConnectionError:
        pass
    except Exception:
        log.exception("the worker failed")
        code = 3
    leave(code)


def leave(code: int) -> None:
    """End the process at once: a decode in the other thread must not hold it up."""
    sys.stderr.flush()
    os._exit(code)


def serve(duplex: Duplex, settings: Settings) -> int:
    """Until the server says stop or goes away. Models are loaded and used by this thread only (fxtranslate insists).

    An error in one utterance ends the process: the server starts another, and loses nothing."""
    try:
        recogniser = load(settings, duplex)
    except ModelError as error:
        duplex.send(Failed(str(error)))
        return 2
    threading.Thread(target=hear_forever, args=(recogniser, duplex), name="hearing", daemon=True).start()
    while True:
        work = recogniser.take(time.monotonic, 0.5)
        if work is not None:
            recogniser.work(work, time.monotonic)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="captioning.worker", description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON, see Settings")
    parser.add_argument("--fd", type=int, required=True, help="inherited socket to the server")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stay_offline()
    settings = msgspec.json.decode(options.settings, type=Settings)
    os.nice(settings.niceness)
    try:
        return serve(FrameSocket(options.fd), settings)
    except (ConnectionError, KeyboardInterrupt):
        return 0  # the server is gone, and with it the reason to be here
    except Exception:
        log.exception("the worker failed")
        return 3


def listen(url: str, name: str, settings: Settings) -> int:
    """A worker for servers on other machines, by Redis. Raises ValueError for a URL that is none."""
    from captioning.bus_redis_worker import RedisDuplex

    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stay_offline()
    duplex = RedisDuplex(url, name)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: duplex.leaving.set())
    os.nice(settings.niceness)
    try:
        return serve(duplex, settings)
    except Exception:
        log.exception("the worker failed")
        return 3


if __name__ == "__main__":
    leave(main())
