"""Translation by NLLB-200, M2M-100, MADLAD-400 and Opus-MT models, converted for CTranslate2.

A model is a folder: what `ct2-transformers-converter` writes, with the model's SentencePiece files beside it
(``--copy_files``; docs/translation.md). The family is told by its vocabulary. All sentences of a text and all languages
that it is wanted in are one batch. Nothing is fetched.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from captioning import codes
from captioning.language import base
from captioning.models import ModelError

log = logging.getLogger("captioning")

SHARED = ("sentencepiece.bpe.model", "sentencepiece.model", "spiece.model", "spm.128k.model", "spm.model")
APART = ("source.spm", "target.spm")
LONGEST_PIECES = 384
"""Pieces of a sentence; what is longer is cut, since the models have seen nothing longer."""
AT_ONCE = 48
"""Sentences times languages that are computed together; more go in turns."""
_SENTENCE = re.compile(r"(?<=[.!?…؟।])\s+|(?<=[。！？])")


class Entry(msgspec.Struct, frozen=True):
    """One of `captions.translators`: a folder, for Opus-MT with the pair that it translates; target None: many."""

    folder: Path
    source: str | None = None
    target: str | None = None


def parse_entry(text: str, models: Path) -> Entry:
    """``FOLDER``, ``en-de=FOLDER`` or, for an Opus-MT model with several targets, ``en-*=FOLDER``. A name without a
    slash lies in the folder of the models. Raises ModelError."""
    pair, is_pair, name = (part.strip() for part in text.rpartition("="))
    folder = Path(name).expanduser() if "/" in name else models / name
    if not name or name in (".", ".."):
        raise ModelError(f"captions.translators has {text!r}, which names no folder")
    if not is_pair:
        return Entry(folder)
    source, dash, target = pair.partition("-")
    if not (dash and source and target):
        raise ModelError(f"captions.translators has {text!r}: a pair is written en-de=FOLDER or en-*=FOLDER")
    return Entry(folder, base(source), None if target == "*" else base(target))


class Multilingual:
    """One model. Belongs to one thread at a time."""

    def __init__(
        self, entry: Entry, device: str = "cpu", compute_type: str = "default", threads: int = 1, beam: int = 2
    ) -> None:
        """Loads it. Raises ModelError with a text for the operator."""
        import ctranslate2
        import sentencepiece

        folder = entry.folder
        if not (folder / "model.bin").is_file():
            raise ModelError(f"captions.translators: there is no {folder / 'model.bin'}")
        vocabulary = _vocabulary(folder)
        apart = all((folder / name).is_file() for name in APART)
        found = codes.family(vocabulary, apart)
        if found is None:
            raise ModelError(
                f"captions.translators: {folder} is of no family that is known (NLLB, M2M-100, MADLAD, Opus-MT)"
            )
        shared = next((folder / name for name in SHARED if (folder / name).is_file()), None)
        if shared is None and not apart:
            names = f"{', '.join(SHARED)}, or {' and '.join(APART)}"
            raise ModelError(f"captions.translators: {folder} has no SentencePiece file: {names}")
        self.engine: codes.Family = found
        self._languages = codes.languages(found, vocabulary)
        self._vocabulary = vocabulary
        if found == "opus" and (entry.source is None or (entry.target is None and not self._languages)):
            raise ModelError(f"captions.translators: {folder} is one pair; write it as en-de={folder}")
        self._source, self._target = entry.source, entry.target
        self._beam = beam
        try:
            both = [str(folder / name) for name in APART] if shared is None else [str(shared)] * 2
            self._encode: Any = sentencepiece.SentencePieceProcessor(model_file=both[0])
            self._decode: Any = sentencepiece.SentencePieceProcessor(model_file=both[1])
            self._model: Any = ctranslate2.Translator(
                str(folder), device=device, compute_type=compute_type, inter_threads=1, intra_threads=threads
            )
            config = msgspec.json.decode((folder / "config.json").read_bytes(), type=_Config)
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"captions.translators: {folder} does not load: {error}") from error
        self._end = [] if config.add_source_eos else [config.eos_token]

    def targets(self) -> frozenset[str]:
        """Languages that it writes (primary tags)."""
        return frozenset({self._target}) if self._target is not None else self._languages

    def reaches(self, source: str, target: str) -> bool:
        """Whether it translates this way."""
        knows = source == self._source if self._source is not None else source in self._languages
        return knows and target in self.targets() and source != target

    def translate(self, text: str, source: str, targets: Sequence[str]) -> list[str]:
        """The text in each language that it `reaches`. Raises RuntimeError from the engine."""
        sentences = [piece for piece in _SENTENCE.split(text.strip()) if piece]
        encoded = [pieces[:LONGEST_PIECES] for pieces in self._encode.encode(sentences, out_type=str)]
        batch, prefixes = [], []
        for target in targets:
            before, prefix = self._tokens(source, target)
            batch += [[*before, *pieces, *self._end] for pieces in encoded]
            prefixes += [prefix] * len(encoded)
        if not batch:
            return [""] * len(targets)
        results = self._model.translate_batch(
            batch,
            target_prefix=prefixes if any(prefixes) else None,
            beam_size=self._beam,
            max_batch_size=AT_ONCE,
            max_decoding_length=20 + 2 * max(map(len, encoded)),
        )
        said = [self._text(result.hypotheses[0]) for result in results]
        count = len(encoded)
        return [" ".join(filter(None, said[i * count : (i + 1) * count])) for i in range(len(targets))]

    def _tokens(self, source: str, target: str) -> tuple[list[str], list[str]]:
        """What goes before a sentence, and what its translation begins with."""
        theirs = codes.token(self.engine, target, self._vocabulary)
        if self.engine in ("nllb", "m2m100"):
            ours = codes.token(self.engine, source, self._vocabulary)
            return [ours] if ours else [], [theirs] if theirs else []
        return [theirs] if theirs else [], []

    def _text(self, pieces: Iterable[str]) -> str:
        """Without the tokens that are no words: the tokeniser does not know them."""
        unknown = self._decode.unk_id()
        words = [piece for piece in pieces if self._decode.piece_to_id(piece) != unknown]
        text: str = self._decode.decode(words)
        return " ".join(text.split())


class _Config(msgspec.Struct, frozen=True):
    """Of CTranslate2's `config.json`."""

    eos_token: str = "</s>"
    add_source_eos: bool = False


def _vocabulary(folder: Path) -> frozenset[str]:
    """Source and target tokens; CTranslate2 writes JSON now and wrote lines before."""
    found: set[str] = set()
    for name in ("shared_vocabulary", "source_vocabulary", "target_vocabulary"):
        lines, listed = folder / f"{name}.txt", folder / f"{name}.json"
        try:
            if listed.is_file():
                found |= set(msgspec.json.decode(listed.read_bytes(), type=list[str]))
            elif lines.is_file():
                found |= set(lines.read_text("utf-8").splitlines())
        except (OSError, ValueError) as error:
            raise ModelError(f"captions.translators: the vocabulary in {folder} cannot be read: {error}") from error
    if not found:
        raise ModelError(f"captions.translators: {folder} has no vocabulary file")
    return frozenset(found)
