"""Translation by the embedded engine through the guard and a glossary: quality, time, and what is lost without a mark.

English and Portuguese, on FLORES and on medical sentences (TICO-19), with and without the TICO-19 glossary. How lost
numbers and flipped denials are counted stands in `benchmarks.guard`; its lines are used here too, those that the
guard's tables were not written with. `CONSILIUM_SENTENCES` limits the sentences of each set (default 150).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import sacrebleu

from benchmarks.guard import Rows, data, engine, load, sets
from captioning.glossary import Glossary, holds
from captioning.imports import parse
from captioning.translate import Translator


def quality(translator: Translator, rows: Rows, source: str, target: str) -> dict[str, Any]:
    """chrF and BLEU (sacrebleu's defaults) of what a reader gets, and what `benchmarks.guard.engine` counts."""
    route = translator.route(source, target)
    assert route is not None
    counted = engine(translator, rows, source, target)
    said = [translator.translate(ours, route, spoken=source, read=target) for ours, _ in rows]
    texts = [result.text if result is not None else "" for result in said]
    references = [[theirs for _, theirs in rows]]
    return {
        "chrf": round(sacrebleu.corpus_chrf(texts, references).score, 1),
        "bleu": round(sacrebleu.corpus_bleu(texts, references).score, 1),
        **counted,
    }


def terms(translator: Translator, glossary: Glossary, rows: Rows) -> dict[str, Any]:
    """Of the glossary's terms in the sources, how many are in the translation, without and with the glossary."""
    route = translator.route("en", "pt")
    assert route is not None
    found = without = kept = human = 0
    plain_texts, texts, references = [], [], []
    for ours, theirs in rows:
        wanted = glossary.wanted(ours, "en", "pt")
        if not wanted:
            continue
        plain = translator.translate(ours, route, spoken="en", read="pt")
        better = translator.translate(ours, route, spoken="en", read="pt", wanted=wanted)
        if plain is None or better is None:
            continue
        found += len(wanted)
        without += sum(holds(plain.text, term) for term in wanted)
        kept += sum(holds(better.text, term) for term in wanted)
        human += sum(holds(theirs, term) for term in wanted)
        if plain.text != better.text:
            plain_texts.append(plain.text)
            texts.append(better.text)
            references.append(theirs)
    return {
        "terms": found,
        "kept": round(kept / found, 4) if found else None,
        "kept_without_glossary": round(without / found, 4) if found else None,
        "kept_by_human_translators": round(human / found, 4) if found else None,
        "changed": len(texts),
        "changed_chrf": round(sacrebleu.corpus_chrf(texts, [references]).score, 1) if texts else None,
        "changed_chrf_without": round(sacrebleu.corpus_chrf(plain_texts, [references]).score, 1) if texts else None,
    }


def run() -> dict[str, Any]:
    found, missing = sets()
    count = int(os.environ.get("CONSILIUM_SENTENCES", "150"))
    path = data() / "glossary" / "f_en-pt_XX.csv"
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        translator = load(Path(os.environ.get("CONSILIUM_MODELS", temporary)))
        for name, source, target in (("medical", "en", "pt"), ("flores", "en", "pt"), ("flores", "pt", "en")):
            if rows := found.get((name, source, target)):
                results[f"{name}_{source}_{target}"] = quality(translator, rows[:count], source, target)
        rows = found.get(("medical", "en", "pt"), [])[:count]
        if path.is_file() and rows:
            results["glossary"] = terms(translator, Glossary(parse(path.read_bytes())), rows)
    measured = [result for name, result in results.items() if name != "glossary"]
    return {
        **results,
        "ms_per_sentence": round(sum(r["ms_per_sentence"] for r in measured) / len(measured), 1) if measured else None,
        "numbers_lost_unmarked": sum(r["numbers_lost_unmarked"] for r in measured),
        "negations_flipped_unmarked": sum(r["negations_flipped_unmarked"] for r in measured),
        "glossary_kept": results.get("glossary", {}).get("kept"),
        "left_out": dict.fromkeys(missing, "not there"),
    }
