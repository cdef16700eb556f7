"""German, with numbers written as one word."""

from captioning.tongues.tongue import Tongue, counted, loosely, named, words

_ONES = {"ein": 1, **counted("zwei drei vier funf sechs sieben acht neun", 2)}
_TENS = counted("zwanzig dreissig vierzig funfzig sechzig siebzig achtzig neunzig", 20, 10)
_SMALL = {
    **counted("null eins zwei|zwo drei vier funf|fuenf sechs sieben acht neun zehn elf zwolf|zwoelf dreizehn vierzehn"),
    **counted("funfzehn|fuenfzehn sechzehn siebzehn achtzehn neunzehn", 15),
    **_TENS,
    **{f"{one}und{ten}": ones + tens for one, ones in _ONES.items() for ten, tens in _TENS.items()},
    "ein": 1,
}


def _hundreds(word: str) -> int | None:
    before, found, after = word.partition("hundert")
    if not found:
        return _SMALL.get(word)
    more = _SMALL.get(after.removeprefix("und"), 0 if not after else None)
    times = _SMALL.get(before, 1 if not before else None)
    return None if more is None or times is None or times > 19 else times * 100 + more


def compound(word: str) -> int | None:
    """``zweihundertfunfundzwanzig`` is 225."""
    before, found, after = word.partition("tausend")
    if not found:
        return _hundreds(word)
    more = _hundreds(after.removeprefix("und")) if after else 0
    times = _hundreds(before) if before else 1
    return None if more is None or times is None else times * 1000 + more


GERMAN = Tongue(
    code="de",
    decimal=",",
    ones=words("ein eine einen einem einer eines eins"),
    cardinals={**counted("eins|ein|eine|einen|einem|einer|eines zwei|zwo", 1), "null": 0},
    hundreds=words(""),
    scales={
        "tausend": 1_000,
        "million": 10**6,
        "millionen": 10**6,
        "milliarde": 10**9,
        "milliarden": 10**9,
        "billion": 10**12,
        "billionen": 10**12,
    },
    joiners=words("und"),
    loose=loosely(
        n0="kein keine keinen null",
        n1="einzige einzigen einzelne einmal erste ersten erster erstes",
        n2="beide beiden beider beides doppelt doppelte doppelten verdoppeln verdoppelt paar zweimal zweite zweiten"
        " zweiter"
        " zweites halfte zweitens",
        n3="dritte dritten dritter drittes drittel dreimal dreifach dreifache",
        n4="vierte vierten vierter viertes viertel vierfach viermal",
        n5="funfte funften funfter funftel",
        n6="sechste sechsten",
        n7="siebte siebten",
        n8="achte achten",
        n9="neunte neunten",
        n10="zehnte zehnten zehntel jahrzehnt jahrzehnte jahrzehnten zehnfach",
        n12="dutzend dutzende mittag mitternacht",
        n100="hunderte hunderten jahrhundert jahrhunderts jahrhunderte",
        n1000="tausende tausenden",
        n1000000="millionen",
        n1000000000="milliarden",
        h="halb halbe halben halber halbes halfte",
    ),
    units=named(
        percent="prozent prozentsatz prozentpunkte",
        microgram="mikrogramm",
        milligram="milligramm",
        gram="gramm",
        kilogram="kilogramm kilo",
        milliliter="milliliter millilitern",
        deciliter="deziliter",
        liter="liter litern",
        unit="einheit einheiten ie",
        millimole="millimol",
        nanometer="nanometer nanometern",
        micrometer="mikrometer mikrometern",
        millimeter="millimeter millimetern",
        centimeter="zentimeter zentimetern",
        meter="meter metern",
        kilometer="kilometer kilometern",
        celsius="celsius",
        fahrenheit="fahrenheit",
        degree="grad",
        year="jahr jahre jahren jahres jahrig jahrige jahrigen jahriger jahrlich",
        month="monat monate monaten monats monatlich",
        week="woche wochen wochentlich",
        day="tag tage tagen tages taglich",
        hour="stunde stunden stundlich uhr",
        minute="minute minuten",
        second="sekunde sekunden",
        foot="fuss",
        inch="zoll",
        yard="yard yards",
        mile="meile meilen",
        pound="pfund",
        ounce="unze unzen",
        beat="schlage",
        tablet="tablette tabletten pille pillen",
        drop="tropfen",
        dollar="dollar",
        euro="euro",
    ),
    months=counted("januar|janner februar marz april mai juni juli august september oktober november dezember", 1),
    negators=words(
        "nicht nichts nie niemals niemand niemanden niemandem kein keine keinen keinem keiner keines keinerlei"
        " ohne weder"
        " nirgends nein"
    ),
    excuses=words(
        "unmog* unfah* unbekannt* unsicher* ungewohn* unwahrsch* unklar* unnot* unverander* unvoll* unwirk* ungeeig*"
        "unzureich* unterlass* fehl* mangel* ausser ausge* vermeid* verhinder* verbiet* verbot* ablehn*"
        " verweiger* selten kaum"
        "wenig* frei* nur statt anstatt weniger sonst negativ* asympt* leugn* verneint* einzig* lediglich nicht*"
        " erst"
        " unb* unf* unge* unk* unm* unn* unp* unr* unsi* unum* unv* unw* unz* undi* unz*"
    ),
    halfway=("nicht nur", "nicht zuletzt", "oder nicht"),
    carriers=("mal", "fach", "stundig", "jahrig", "tagig", "wochig", "monatig", "teilig", "stellig", "malig", "kopfig"),
    left=words("links linke linken linker linkes linkem linksseitig* linksseitige*"),
    right=words("rechts rechtsseitig*"),
    maybe_right=words("rechte rechten rechter rechtes rechtem"),
    compound=compound,
)
