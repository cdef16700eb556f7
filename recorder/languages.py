"""Language names and ISO 639-2 codes for subtitle tracks: MP4 and Matroska want three letters, people want a name."""

from __future__ import annotations

_TABLE = """
ar ara العربية|bg bul Български|bn ben বাংলা|ca cat Català|cs ces Čeština|da dan Dansk|de deu Deutsch|el ell Ελληνικά
en eng English|es spa Español|et est Eesti|fa fas فارسی|fi fin Suomi|fr fra Français|he heb עברית|hi hin हिन्दी
hr hrv Hrvatski|hu hun Magyar|id ind Bahasa Indonesia|it ita Italiano|ja jpn 日本語|ko kor 한국어|lt lit Lietuvių
lv lav Latviešu|ms msa Bahasa Melayu|nb nob Norsk bokmål|nl nld Nederlands|no nor Norsk|pl pol Polski|pt por Português
ro ron Română|ru rus Русский|sk slk Slovenčina|sl slv Slovenščina|sr srp Српски|sv swe Svenska|sw swa Kiswahili
ta tam தமிழ்|th tha ไทย|tr tur Türkçe|uk ukr Українська|ur urd اردو|vi vie Tiếng Việt|zh zho 中文
"""
_NAMES = {
    short: (code, name)
    for short, code, name in (entry.split(" ", 2) for line in _TABLE.split("\n") for entry in line.split("|") if entry)
}


def name_of(tag: str) -> tuple[str, str]:
    """(ISO 639-2 code, the language's own name) of a BCP 47 tag; (``und``, the tag) for one not in the table."""
    code, name = _NAMES.get(tag.split("-")[0].lower(), ("und", tag))
    return code, name if "-" not in tag else f"{name} ({tag})"
