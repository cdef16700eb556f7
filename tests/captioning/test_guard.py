"""The guard: what must not change in translation is compared, per language, and nothing else is marked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.drugs import is_drug, same_name
from captioning.guard import check, doubts

FINE = [
    ("en", "pt", "Give 5 mg of morphine twice a day.", "Dê 5 mg de morfina duas vezes por dia."),
    ("en", "pt", "She has no pain in her left knee.", "Ela não tem dor no joelho esquerdo."),
    ("en", "pt", "He is unable to walk.", "Ele não consegue andar."),
    ("en", "pt", "That is right, she left yesterday.", "Está certo, ela saiu ontem."),
    ("en", "es", "However, twenty-five percent improved.", "Sin embargo, el 25 % mejoró."),
    ("en", "fr", "From 10 to 14 days without fever.", "De 10 à 14 jours sans fièvre."),
    ("en", "de", "A two-hour operation on March 3, 2020.", "Eine zweistündige Operation am 3. März 2020."),
    ("en", "it", "Two hundred and fifty milligrams of ibuprofen.", "Duecentocinquanta milligrammi di ibuprofene."),
    ("pt", "en", "Tome 1.500 mg de paracetamol.", "Take 1,500 mg of acetaminophen."),
    ("en", "zh", "She takes 40 mg every 12 hours.", "她每12小时服用40毫克。"),
    ("en", "zh", "Ten million people, and 20,000 doctors.", "1千万人和2万名医生。"),
    ("en", "ja", "Give COVID-19 patients 6 mg a day.", "COVID-19の患者に1日6mgを投与する。"),
    ("en", "ar", "The temperature is 38.5 degrees.", "درجة الحرارة ٣٨٫٥ درجة."),
    ("en", "pt", "Amoxicillin, Ana.", "Amoxicilina, Ana."),
]
WRONG = [
    ("en", "zh", "She takes 40 mg every 12 hours.", "她每12小时服用400毫克。", "dose"),
    ("en", "pt", "Give 5 mg of morphine.", "Dê 50 mg de morfina.", "dose"),
    ("en", "pt", "Give 5 mg of morphine.", "Dê 5 g de morfina.", "unit"),
    ("en", "pt", "Give 5 mg of morphine.", "Dê 5 mg de metadona.", "drug"),
    ("en", "pt", "Take 1,500 mg.", "Tome 1,500 mg.", "dose"),
    ("en", "pt", "In 10.9% of them.", "Em 19% deles.", "percentage"),
    ("en", "pt", "He has twenty-five of them.", "Ele tem trinta e cinco deles.", "number"),
    ("en", "pt", "She has no pain.", "Ela tem dor.", "negation"),
    ("en", "de", "She has pain.", "Sie hat keine Schmerzen.", "negation"),
    ("en", "fr", "She isn't allergic.", "Elle est allergique.", "negation"),
    ("en", "pt", "The left lung is clear.", "O pulmão direito está limpo.", "side"),
    ("en", "es", "The left lung and the right kidney.", "El pulmón derecho y el riñón izquierdo.", "side"),
    ("en", "it", "Come back in March.", "Torni a maggio.", "date"),
    ("en", "zh", "She takes 40 mg every 12 hours.", "她每12小时服用400毫克。", "dose"),
    ("en", "pt", "Take it after every meal.", "Take it after every meal.", "copied"),
    ("en", "pt", "She has had a cough for some days now.", "Tosse.", "length"),
    ("en", "pt", "Yes, it hurts here.", "dói dói dói dói dói dói", "loop"),
    ("en", "pt", "Yes.", " ", "empty"),
]  # fmt: skip


@pytest.mark.parametrize(("spoken", "read", "source", "target"), FINE)
def test_a_good_translation_is_not_marked(spoken: str, read: str, source: str, target: str) -> None:
    assert check(source, target, spoken, read) == []


@pytest.mark.parametrize(("spoken", "read", "source", "target", "doubt"), WRONG)
def test_what_changed_is_found(spoken: str, read: str, source: str, target: str, doubt: str) -> None:
    assert doubt in doubts(check(source, target, spoken, read)), check(source, target, spoken, read)


def test_terms_of_a_glossary_are_not_judged_here() -> None:
    assert doubts(check("Take Tylenol.", "Tome paracetamol.", "en", "pt")) == ("drug",)
    assert check("Take Tylenol.", "Tome paracetamol.", "en", "pt", {"Tylenol", "paracetamol"}) == []


def test_drugs_are_known_by_their_stems_in_any_of_the_languages() -> None:
    for name in ("amoxicillin", "Amoxicilina", "azithromycine", "Omeprazol", "lopinavir", "tocilizumabe"):
        assert is_drug(name), name
    for word in ("sobrevivir", "américaine", "afirmaba", "maison", "April", "adoquines", "cefaleia", "cocina"):
        assert not is_drug(word), word
    assert same_name("amoxicillin", "amoxicilina") and same_name("hydroxychloroquine", "hidroxicloroquina")
    assert same_name("acetaminophen", "paracetamol") and not same_name("amoxicillin", "ampicilina")


@given(st.text(max_size=120), st.text(max_size=120), st.sampled_from(["en", "pt", "fr", "de", "ja"]))
def test_no_texts_can_break_it(source: str, target: str, read: str) -> None:
    check(source, target, "en", read)
