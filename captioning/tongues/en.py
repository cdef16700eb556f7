"""English."""

from captioning.tongues.tongue import Tongue, counted, loosely, named, words

ENGLISH = Tongue(
    code="en",
    decimal=".",
    ones=words("one"),
    cardinals={
        **counted(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
        ),
        **counted("seventeen eighteen nineteen", 17),
        **counted("twenty thirty forty|fourty fifty sixty seventy eighty ninety", 20, 10),
    },
    hundreds=words("hundred"),
    scales={"thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12},
    joiners=words("and"),
    loose=loosely(
        n0="none zero nil",
        n1="single once first",
        n2="both twice double doubled doubling doubles pair pairs couple second secondly two-fold twofold dual"
        " either half",
        n3="third thirds triple tripled thrice threefold",
        n4="fourth quarter quarters quadruple fourfold",
        n5="fifth fifths fivefold",
        n6="sixth sixths",
        n7="seventh",
        n8="eighth",
        n9="ninth",
        n10="tenth tenths dozens tenfold decade decades",
        n12="dozen twelfth noon midnight",
        n14="fortnight",
        n15="fortnight",
        n100="hundreds hundredth century centuries hundredfold",
        n1000="thousands thousandth",
        n1000000="millions",
        n1000000000="billions",
        h="half",
    ),
    units=named(
        percent="percent percentage pct",
        microgram="microgram micrograms",
        milligram="milligram milligrams milligramme milligrammes",
        gram="gram grams gramme grammes",
        kilogram="kilogram kilograms kilo kilos",
        milliliter="milliliter milliliters millilitre millilitres",
        deciliter="deciliter deciliters decilitre decilitres",
        liter="liter liters litre litres",
        unit="unit units",
        millimole="millimole millimoles",
        nanometer="nanometer nanometers nanometre nanometres",
        micrometer="micrometer micrometers micrometre micron microns",
        millimeter="millimeter millimeters millimetre millimetres",
        centimeter="centimeter centimeters centimetre centimetres",
        meter="meter meters metre metres",
        kilometer="kilometer kilometers kilometre kilometres",
        celsius="celsius centigrade",
        fahrenheit="fahrenheit",
        degree="degree degrees",
        year="year years yr yrs year-old years-old annual annually",
        month="month months monthly",
        week="week weeks weekly",
        day="day days daily",
        hour="hour hours hr hrs hourly",
        minute="minute minutes mins",
        second="second seconds sec secs",
        foot="foot feet ft",
        inch="inch inches",
        yard="yard yards",
        mile="mile miles mph",
        pound="pound pounds lb lbs",
        ounce="ounce ounces oz",
        beat="beats",
        tablet="tablet tablets pill pills",
        drop="drop drops",
        dollar="dollar dollars",
        euro="euro euros",
    ),
    months=counted(
        "january|jan february|feb march|mar april|apr may june|jun july|jul august|aug september|sept|sep october|oct"
        " november|nov december|dec",
        1,
    ),
    strange_months=words("may march mar sep dec jan jun oct august"),
    negators=words(
        "not no never none nobody nothing nowhere neither nor cannot without cant dont wont isnt doesnt didnt"
    ),
    denying_endings=("n't", "n’t"),
    excuses=words(
        "unable unlikely unknown unclear uncertain uncommon unusual unnecessary unavailable unaware unsafe unproven"
        "unconfirmed undetect* unaffect* unchanged untreated unless uninfected unreliable unwilling unexpected*"
        " impossib*"
        "inability insufficient inadequate inconclusive incomplete ineffective invisible insignificant illegal"
        " inactive"
        " lack* fail* absen* free negative* hardly rarely barely scarcely seldom little few fewer less rather instead"
        " except* avoid* refus* deny denies denied denying exclud* exempt* otherwise devoid depriv* abst* refrain*"
        " asymptomatic* non-* nonetheless uninsured disagree* discontinu* miss* prohibit* ban* forbid* only unlike"
        "una* unb* unc* une* unf* ung* unh* unk* unm* unn* uno* unp* unq* unr* uns* unu* unv* unw* undis* undef*"
        " undet*"
        " undev* undo untr* untest* unint* unim* uninf* non* asympt* abnormal* without yet remain* disab* invalid*"
    ),
    endings=("less",),
    idioms=("no . #", "not to mention"),
    halfway=(
        "not only",
        "not just",
        "if not",
        "no matter",
        "whether or not",
        "or not",
        "run out",
        "out of",
        "than ever",
    ),
    left=words("leftmost left-sided left-hand lefthand"),
    right=words("rightmost right-sided right-hand righthand"),
    maybe_left=words("left"),
    maybe_right=words("right"),
)
