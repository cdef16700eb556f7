"""NLLB, M2M-100, MADLAD and Opus-MT, as the real CTranslate2 and SentencePiece take them.

The models are small and their weights random: what comes out has no meaning. That the right tokens go in, that all
languages are one batch, and that what comes out is what the library alone gives for them, is what is shown here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import sentencepiece
from ctranslate2.specs.transformer_spec import TransformerSpec

from captioning import codes
from captioning.glossary import Glossary
from captioning.interpreter import Interpreter
from captioning.language import base
from captioning.messages import Retranslate, Retranslated
from captioning.models import ModelError
from captioning.multilingual import Entry, Multilingual, parse_entry
from captioning.translate import Route, Translator

WORDS = (
    "The patient has no pain in her right arm. Please give five milligrams of morphine. Every doctor should bring the "
    "results. O paciente não tem febre, mas ainda sente dor no joelho esquerdo. Boa tarde a todos. Guten Morgen."
)
CODES = {
    "nllb": ["eng_Latn", "por_Latn", "deu_Latn", "nob_Latn"],
    "m2m100": ["__en__", "__pt__", "__de__", "__no__"],
    "madlad": ["<2en>", "<2pt>", "<2de>", "<2no>"],
    "opus": [">>por<<", ">>deu<<", ">>nor<<"],
    "pair": [],
}
SIZE = 16


@pytest.fixture(scope="module")
def tokeniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece model of the words above."""
    path = tmp_path_factory.mktemp("spm") / "spm"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS.split(". ") * 20), model_prefix=str(path), vocab_size=110, minloglevel=2,
        hard_vocab_limit=False,
    )  # fmt: skip
    return path.with_suffix(".model")


@pytest.fixture(scope="module")
def folders(tokeniser: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each family as the converter lays it out."""
    return {name: build(tmp_path_factory.mktemp(name), tokeniser, name) for name in CODES}


def build(folder: Path, tokeniser: Path, name: str) -> Path:
    known = sentencepiece.SentencePieceProcessor(model_file=str(tokeniser))
    vocabulary = [known.id_to_piece(i) for i in range(known.get_piece_size())] + CODES[name]
    spec = TransformerSpec.from_config(1, 2, pre_norm=True)
    random = np.random.default_rng(7)

    for side in (spec.encoder, spec.decoder):
        embeddings = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        embeddings.weight = random.normal(size=(len(vocabulary), SIZE)).astype(np.float32)
        side.position_encodings.encodings = random.normal(size=(512, SIZE)).astype(np.float32)
        for layer in side.layer:
            attentions = [(layer.self_attention, 3)]
            if hasattr(layer, "attention"):
                attentions.append((layer.attention, 2))
            for attention, kind in attentions:
                norm(attention.layer_norm)
                if kind == 3:
                    linear(attention.linear[0], 3 * SIZE, random)
                    linear(attention.linear[1], SIZE, random)
                else:
                    linear(attention.linear[0], SIZE, random)
                    linear(attention.linear[1], 2 * SIZE, random)
                    linear(attention.linear[2], SIZE, random)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, 2 * SIZE, random)
            linear(layer.ffn.linear_1, SIZE, random, 2 * SIZE)
        norm(side.layer_norm)
    linear(spec.decoder.projection, len(vocabulary), random)
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.add_source_eos = False
    spec.config.decoder_start_token = "</s>"
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    for file in ("source.spm", "target.spm") if name in ("opus", "pair") else ("sentencepiece.bpe.model",):
        (folder / file).write_bytes(tokeniser.read_bytes())
    return folder


def linear(part: Any, out: int, random: np.random.Generator, width: int = SIZE) -> None:
    part.weight = (random.normal(size=(out, width)) / 2).astype(np.float32)
    part.bias = random.normal(size=out).astype(np.float32)


def norm(part: Any) -> None:
    part.gamma, part.beta = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)


def alone(folder: Path, source: list[str], prefix: list[str] | None, pieces: int) -> list[str]:
    """What the library itself gives for a sentence of so many pieces."""
    model = ctranslate2.Translator(str(folder), compute_type="default", intra_threads=1)
    target = [prefix] if prefix else None
    (result,) = model.translate_batch([source], target_prefix=target, beam_size=2, max_decoding_length=20 + 2 * pieces)
    found: list[str] = result.hypotheses[0]
    return found


@pytest.mark.parametrize("name", ["nllb", "m2m100", "madlad"])
def test_each_family_gets_its_own_tokens_and_all_languages_are_one_batch(
    name: str, folders: dict[str, Path], tokeniser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders[name]
    model = Multilingual(Entry(folder))
    assert model.engine == name and model.targets() == {"en", "pt", "de", "no"}
    assert model.reaches("en", "pt") and model.reaches("de", "no") and not model.reaches("en", "fr")
    assert not model.reaches("en", "en")
    batches: list[tuple[list[list[str]], dict[str, Any]]] = []
    real = model._model

    class Watched:
        def translate_batch(self, batch: list[list[str]], **options: Any) -> Any:
            batches.append((batch, options))
            return real.translate_batch(batch, **options)

    monkeypatch.setattr(model, "_model", Watched())
    text = "The patient has no pain. Please give five milligrams."
    said = model.translate(text, "en", ["pt", "de"])
    ((batch, options),) = batches
    known = sentencepiece.SentencePieceProcessor(model_file=str(tokeniser))
    first = known.encode("The patient has no pain.", out_type=str)
    second = known.encode("Please give five milligrams.", out_type=str)
    en, pt, de, _ = CODES[name]
    if name == "madlad":
        assert batch == [[code, *pieces, "</s>"] for code in (pt, de) for pieces in (first, second)]
        assert options["target_prefix"] is None
    else:
        assert batch == [[en, *pieces, "</s>"] for _ in "12" for pieces in (first, second)]
        assert options["target_prefix"] == [[pt], [pt], [de], [de]]
    assert len(said) == 2 and all(said) and not any(code in text for code in CODES[name] for text in said)
    # One sentence, one language: exactly what the library alone makes of those tokens.
    (ours,) = model.translate("The patient has no pain.", "en", ["pt"])
    pieces = alone(folder, batch[0], None if name == "madlad" else [pt], len(first))
    assert ours == " ".join(known.decode([p for p in pieces if known.piece_to_id(p) != known.unk_id()]).split())


def test_opus_models_are_of_a_pair_or_say_their_target(folders: dict[str, Path], tokeniser: Path) -> None:
    one = Multilingual(Entry(folders["pair"], "en", "de"))
    assert one.targets() == {"de"} and one.reaches("en", "de") and not one.reaches("de", "en")
    known = sentencepiece.SentencePieceProcessor(model_file=str(tokeniser))
    asked = known.encode("Good morning.", out_type=str)
    pieces = alone(folders["pair"], [*asked, "</s>"], None, len(asked))
    assert (
        one.translate("Good morning.", "en", ["de"])[0].split()
        == known.decode([p for p in pieces if known.piece_to_id(p) != known.unk_id()]).split()
    )
    several = Multilingual(Entry(folders["opus"], "en", None))
    assert several.targets() == {"pt", "de", "no"}
    assert several._tokens("en", "no") == ([">>nor<<"], [])
    with pytest.raises(ModelError, match="write it as en-de="):
        Multilingual(Entry(folders["pair"]))
    with pytest.raises(ModelError, match="write it as en-de="):
        Multilingual(Entry(folders["pair"], "en", None))


def test_what_cannot_be_used_says_why(folders: dict[str, Path], tmp_path: Path) -> None:
    for text, entry in (
        ("/models/nllb", Entry(Path("/models/nllb"))),
        ("nllb", Entry(tmp_path / "nllb")),
        ("en-de=opus", Entry(tmp_path / "opus", "en", "de")),
        (" pt-BR - * = ./x ", None),
        ("en-*=./x", Entry(Path("x"), "en", None)),
    ):
        if entry is not None:
            assert parse_entry(text, tmp_path) == entry
    for text in ("", "=", "en=x", "en-=x", "en-de=", ".."):
        with pytest.raises(ModelError, match=r"captions\.translators"):
            parse_entry(text, tmp_path)
    with pytest.raises(ModelError, match="there is no"):
        Multilingual(Entry(tmp_path))
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folders["nllb"].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "sentencepiece.bpe.model").unlink()
    with pytest.raises(ModelError, match="no SentencePiece file"):
        Multilingual(Entry(broken))
    (broken / "sentencepiece.bpe.model").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="does not load"):
        Multilingual(Entry(broken))
    (broken / "shared_vocabulary.json").write_text(json.dumps(["a", "b"]))
    with pytest.raises(ModelError, match="no family"):
        Multilingual(Entry(broken))
    (broken / "shared_vocabulary.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        Multilingual(Entry(broken))


def test_codes_are_found_in_real_vocabularies_names() -> None:
    assert codes.token("nllb", "zh", {"zho_Hans"}) == "zho_Hans"
    assert codes.token("m2m100", "he", {"__he__"}) == "__he__" and codes.token("madlad", "he", {"<2iw>"}) == "<2iw>"
    assert (
        codes.token("opus", "zh", {">>cmn_Hans<<"}) == ">>cmn_Hans<<"
        and codes.token("opus", "pt", {">>pt<<"}) == ">>pt<<"
    )
    assert codes.token("opus", "fr", {">>pt<<"}) is None and codes.token("nllb", "xx", {"eng_Latn"}) is None
    assert len(codes.FLORES) > 110 and all(base(tag) == tag for tag in codes.FLORES)


def test_the_translator_takes_the_direct_model_and_asks_once_for_all_readers(folders: dict[str, Path]) -> None:
    class Plain:
        def translate_long(self, text: str) -> str:
            return f"firefox {text}"

    many = Multilingual(Entry(folders["nllb"]))
    pairs = {("en", "pt"): Plain(), ("es", "en"): Plain()}
    translator = Translator(pairs, hears_english=True, many=[many])
    assert translator.route("en", "pt") == Route(False, (("en", "pt"),), "firefox")
    assert translator.route("de", "pt") == Route(False, (("de", "pt"),), "nllb"), "direct, not through English"
    assert translator.route("es", "de") == Route(False, (("es", "en"), ("en", "de")), "nllb")
    assert translator.route("fr", "no") == Route(True, (("en", "no"),), "nllb"), "from the recogniser's English"
    assert translator.readable() == ["de", "en", "no", "pt"]
    first = Translator(pairs, hears_english=False, many=[many], many_first=True)
    assert first.route("en", "pt") == Route(False, (("en", "pt"),), "nllb")
    sent: list[Any] = []
    interpreter = Interpreter(translator, sent.append)
    asked = Retranslate("room", "s", 1, "de", "Guten Morgen.", ["pt-BR", "no", "en", "de", "fr"])
    interpreter.corrected(asked, Glossary([]))
    assert translator.counters["translation_batches"] == 1 and translator.counters["translations_guarded"] == 3
    said = {one.language: one for one in sent if isinstance(one, Retranslated)}
    assert set(said) <= {"pt-BR", "no", "en"} and {one.engine for one in said.values()} == {"nllb"}
    # Through English once, then into all languages at once.
    made = translator.counters["translations"]
    translator.ahead("Hola.", "es", ["de", "no"])
    assert translator.counters["translation_batches"] == 2
    assert translator.translate("Hola.", Route(False, (("es", "en"), ("en", "de")), "nllb")) is not None
    assert translator.counters["translations"] == made + 3, "one into English, two out of it, none again"
