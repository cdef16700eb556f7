"""Names of drugs in running text, by the stems of the WHO's international nonproprietary names.

Drug names hardly change between languages (amoxicillin, amoxicilina, amoxicilline, Amoxicillin), so a translation must
have a word that is nearly the same. Source of the stems: WHO, "The use of stems in the selection of INN".
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from captioning.tongues.tongue import plain, words

_STEMS = words(
    "cillin cillina cilina cilline mycin micin micina mycine cycline ciclina cyclin floxacin floxacino floxacina oxacin"
    " azole azol conazol prazole prazol pril prilat sartan dipine dipin dipino dipina olol alol statin statina statine"
    " vastatin oxetine oxetina afil triptan setron tidine tidina gliptin gliptina glitazone gliflozin semide thiazide"
    " tiazida parin parina xaban gatran grel rivirine buvir previr ciclovir navir tegravir asvir desivir amivir piravir"
    " fovir umab imab omab umabe imabe tinib ciclib zomib iocaine idocaine ivacaine ocaina ivacaina idocaina barbital"
    " azepam azolam zepam profen profeno fenac oxicam coxib isone solone sonide metasone terol phylline filina tropium"
    " dronate dronato platin platina rubicin taxel trexate oroquine oroquin oroquina thyroxine tiroxina insulin"
)
_WHOLE = words(
    "aspirin aspirina paracetamol acetaminophen acetaminofen ibuprofen morphine morfina morphin heparin heparina"
    " heparine warfarin varfarina warfarina insulin insulina insuline metformin metformina metformine digoxin"
    " digoxina adrenaline epinephrine adrenalina epinefrina oxytocin oxitocina fentanyl fentanil tramadol codeine"
    " codeina ketamine ketamina propofol atropine atropina lidocaine furosemide furosemida amiodarone amiodarona"
    " remdesivir tocilizumab hydroxychloroquine hidroxicloroquina chloroquine cloroquina dexamethasone"
    " dexametasona prednisone prednisona clopidogrel enoxaparin enoxaparina levothyroxine levotiroxina salbutamol"
    " albuterol naloxone naloxona methotrexate metotrexato gabapentin gabapentina pregabalin pregabalina"
    " sertraline sertralina haloperidol quetiapine lithium litio lamotrigine valproate colchicine colchicina"
    " allopurinol alopurinol nitroglycerin nitroglicerina spironolactone espironolactona hydrocortisone"
    " hidrocortisona tranexamic tranexamico"
)
_NOT_DRUGS = words(
    "april avril abril cholesterol colesterol cholesterin effort person machine cocina medicina oficina platina"
    " comparison prison liaison poison parison saison garrison unison raison maison"
)
_LONG = 6
"""Shorter words are no drug names that a stem alone could tell."""
_BY_STEM = re.compile(rf"[a-z]{{2,}}(?:{'|'.join(sorted(_STEMS, key=lambda stem: (-len(stem), stem)))})(?:[aeo]s?|s)?")
_BEGINS = re.compile(r"(?:cef|ceph)[a-z]+(?:in|ina|ine|ime|ima|im|one|ona|dil|zol|tan)|predniso[a-z]+")
_SAME = 0.88
"""Share of letters in common from which two words are the same name."""
_RULES = (
    ("ph", "f"),
    ("th", "t"),
    ("y", "i"),
    ("ch", "c"),
    ("qu", "c"),
    ("k", "c"),
    ("x", "s"),
    ("z", "s"),
    ("h", ""),
    ("w", "v"),
)
_EQUAL = (
    words("acetaminophen paracetamol acetaminofen paracetamolo"),
    words("epinephrine adrenaline adrenalina epinefrina adrenalin"),
    words("salbutamol albuterol"),
    words("aspirin aspirina aspirine ass"),
)
"""Names of one drug that do not look alike."""


def is_drug(word: str) -> bool:
    """Whether the word is, or by its stem must be, the name of a drug."""
    word = plain(word)
    if word in _WHOLE:
        return True
    if len(word) < _LONG + 1 or word in _NOT_DRUGS:
        return False
    return _BY_STEM.fullmatch(word) is not None or _BEGINS.fullmatch(word) is not None


def skeleton(word: str) -> str:
    """The word without what languages spell differently."""
    word = plain(word)
    for old, new in _RULES:
        word = word.replace(old, new)
    word = re.sub(r"(.)\1", r"\1", word)
    return re.sub(r"[aeiou]+s?$", "", word) or word


def same_name(one: str, other: str) -> bool:
    """Whether two words are one drug's name in two languages."""
    a, b = plain(one), plain(other)
    if any(a in names and b in names for names in _EQUAL):
        return True
    x, y = sorted((skeleton(a), skeleton(b)), key=len)
    if len(x) >= _LONG and y.startswith(x):  # Insulindosis
        return True
    if abs(len(x) - len(y)) > 3 or not x or not y:
        return False
    return SequenceMatcher(None, x, y, autojunk=False).ratio() >= _SAME and x[0] == y[0]
