"""Italian, with numbers written as one word."""

from captioning.tongues.tongue import Tongue, counted, loosely, named, words

_DIGITS = counted("uno due tre quattro cinque sei sette otto nove", 1)
_TENS = counted("venti trenta quaranta cinquanta sessanta settanta ottanta novanta", 20, 10)
_SMALL = {
    **counted(
        "zero uno|un|una due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici"
    ),
    **counted("sedici diciassette diciotto diciannove", 16),
    **_TENS,
    **{
        (ten[:-1] if digit[0] in "uo" else ten) + digit: tens + value
        for ten, tens in _TENS.items()
        for digit, value in _DIGITS.items()
    },
}


def _hundreds(word: str) -> int | None:
    before, found, after = word.partition("cento")
    if not found:
        return _SMALL.get(word)
    more = _SMALL.get(after, 0 if not after else None)
    times = _DIGITS.get(before, 1 if not before else None)
    return None if more is None or times is None else times * 100 + more


def compound(word: str) -> int | None:
    """``duecentoventicinque`` is 225; ``mille`` and ``-mila`` are thousands."""
    for thousand in ("mila", "mille"):
        before, found, after = word.partition(thousand)
        if found:
            more = _hundreds(after) if after else 0
            times = _hundreds(before) if before else 1
            return None if more is None or times is None else times * 1000 + more
    return _hundreds(word)


ITALIAN = Tongue(
    code="it",
    decimal=",",
    ones=words("un uno una"),
    cardinals={"un": 1, "uno": 1, "una": 1},
    hundreds=words(""),
    scales={
        "mila": 1_000,
        "milione": 10**6,
        "milioni": 10**6,
        "miliardo": 10**9,
        "miliardi": 10**9,
        "bilioni": 10**12,
    },
    joiners=words("e"),
    loose=loosely(
        n0="nessun nessuno nessuna",
        n1="unico unica singolo singola primo prima primi prime sola solo",
        n2="entrambi entrambe ambedue doppio doppia doppi raddoppiare coppia coppie paio secondo seconda secondi meta",
        n3="terzo terza terzi triplo tripla",
        n4="quarto quarta quarti quadruplo",
        n5="quinto quinta quinti",
        n6="sesto sesta",
        n7="settimo settima",
        n8="ottavo ottava",
        n9="nono nona",
        n10="decimo decima decimi decina decine decennio decenni",
        n12="dozzina dozzine mezzogiorno mezzanotte",
        n15="quindicina",
        n20="ventina",
        n100="centinaia centinaio secolo secoli centesimo",
        n1000="migliaia migliaio",
        n1000000="milioni",
        n1000000000="miliardi",
        h="mezzo mezza mezzi meta",
    ),
    units=named(
        percent="percento percentuale",
        microgram="microgrammo microgrammi",
        milligram="milligrammo milligrammi",
        gram="grammo grammi",
        kilogram="chilogrammo chilogrammi chilo chili",
        milliliter="millilitro millilitri",
        deciliter="decilitro decilitri",
        liter="litro litri",
        unit="unita",
        millimole="millimole millimoli",
        nanometer="nanometro nanometri",
        micrometer="micrometro micrometri micron",
        millimeter="millimetro millimetri",
        centimeter="centimetro centimetri",
        meter="metro metri",
        kilometer="chilometro chilometri",
        celsius="celsius centigradi",
        fahrenheit="fahrenheit",
        degree="grado gradi",
        year="anno anni annuale annuali annualmente",
        month="mese mesi mensile mensili",
        week="settimana settimane settimanale settimanali",
        day="giorno giorni giornata giornate giornaliero giornaliera quotidiano quotidiana",
        hour="ora ore",
        minute="minuto minuti",
        second="secondo secondi",
        foot="piede piedi",
        inch="pollice pollici",
        yard="iarda iarde",
        mile="miglio miglia",
        pound="libbra libbre",
        ounce="oncia once",
        beat="battiti",
        tablet="compressa compresse pillola pillole pastiglia pastiglie",
        drop="goccia gocce",
        dollar="dollaro dollari",
        euro="euro",
    ),
    months=counted("gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre", 1),
    negators=words("non no nessun nessuno nessuna niente nulla senza nemmeno neppure neanche"),
    excuses=words(
        "incapac* imposs* improb* incert* inesist* insuf* sconosc* inutil* indispon* inadegu* manc* assen* smett*"
        " tranne"
        "eccet* evit* rifiut* neg* raramente raro rara rari rare poco poca pochi poche difficilmente liber* solo"
        " soltanto invece"
        " meno salvo esclu* esent* priv* proib* viet* asint* illegal* anziche mai ne"
    ),
    halfway=("non solo", "non soltanto", "o no", "o meno", "che mai"),
    unsure=words("venti sei"),
    carriers=("enne", "enni", "ennale"),
    left=words("sinistro sinistra sinistri sinistre"),
    right=words("destro destra destri destre"),
    compound=compound,
)
