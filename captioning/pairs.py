"""The Firefox Translations models that are installed: loaded when they are first needed, the least used let go."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

from captioning import models
from captioning.catalogue import Model
from captioning.models import ModelError
from captioning.translate import SentenceTranslator

log = logging.getLogger("captioning")

LOADED = 24
"""Models that a worker keeps loaded at once, some 60 MB each."""


class Pairs(Mapping[tuple[str, str], SentenceTranslator]):
    """By (source, target). Belongs to one thread, as the engine does."""

    def __init__(self, folder: Path, loaded: int = LOADED) -> None:
        """Makes sure of the bytes of every model that is there; a broken one is left out and told of."""
        self._folder = folder
        self._most = loaded
        self._loaded: OrderedDict[tuple[str, str], SentenceTranslator] = OrderedDict()
        self._models: dict[tuple[str, str], Model] = {}
        for pair, found in models.pairs_installed(folder).items():
            for model in found:
                try:
                    models.check(model, folder)
                except ModelError as error:
                    log.warning("left out %s: %s", model.name, error)
                    continue
                self._models[pair] = model
                break

    def __getitem__(self, pair: tuple[str, str]) -> SentenceTranslator:
        if (engine := self._loaded.get(pair)) is None:
            engine = self._loaded[pair] = load_pair(self._folder / self._models[pair].name)
            if len(self._loaded) > self._most:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(pair)
        return engine

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, pair: object) -> bool:
        return pair in self._models


def load_pair(folder: Path) -> SentenceTranslator:
    """Load one installed model: `model.bin`, `lex.bin`, and a vocabulary for both languages (`vocab.spm`) or one for
    each (`source.spm`, `target.spm`). Raises ValueError for a malformed one, OSError.

    The engine belongs to the thread that loads it and must be used there only."""
    from fxtranslate import Translator as Engine

    def vocabulary(own: str) -> bytes:
        path = folder / own
        return (path if path.is_file() else folder / "vocab.spm").read_bytes()

    engine: SentenceTranslator = Engine(
        (folder / "model.bin").read_bytes(),
        vocabulary("source.spm"),
        vocabulary("target.spm"),
        (folder / "lex.bin").read_bytes(),
    )
    return engine
