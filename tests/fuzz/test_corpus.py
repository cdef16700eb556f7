"""Everything that fuzzing has found so far, through Python and the native plane again: they must agree, and hold."""

from __future__ import annotations

import pytest

from fuzz import corpus
from fuzz.targets import NATIVE, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_the_kept_inputs_break_nothing(name):
    inputs = corpus.read(name)
    assert corpus.read(name, ["recorded"]), "begun with what browsers sent"
    for data in inputs:
        try:
            TARGETS[name](data)
        except Exception as error:
            error.add_note(f"{name}: {data.hex()}")
            raise


def test_the_corpus_stays_small_and_belongs_to_targets():
    assert corpus.size() <= corpus.MOST_BYTES
    files = [file for kind in corpus.KINDS for file in (corpus.HOME / kind).glob("*")]
    assert {file.stem for file in files} <= set(TARGETS)
    crate = (corpus.HOME / "native" / "Cargo.toml").read_text()
    assert all(f'name = "{name}"' in crate for name in NATIVE)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_and_next_to_nothing_break_nothing(name):
    for first in range(0, 256, 7):
        TARGETS[name](bytes((first,)))
    TARGETS[name](b"")
