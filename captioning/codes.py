"""What families of translation models call a language. Pure: a vocabulary in, tokens out.

NLLB has FLORES-200 codes (``por_Latn``, https://github.com/facebookresearch/flores/blob/main/flores200), M2M-100
``__pt__``, MADLAD-400 ``<2pt>``, Opus-MT with several targets ``>>por<<`` or, in older models, ``>>pt<<``.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Literal

Family = Literal["nllb", "m2m100", "madlad", "opus"]

FLORES = dict(
    re.findall(
        r"(\w+):(\w+)",
        """
        af:afr_Latn am:amh_Ethi ar:arb_Arab as:asm_Beng az:azj_Latn ba:bak_Cyrl be:bel_Cyrl bg:bul_Cyrl bn:ben_Beng
        bo:bod_Tibt bs:bos_Latn ca:cat_Latn cs:ces_Latn cy:cym_Latn da:dan_Latn de:deu_Latn el:ell_Grek en:eng_Latn
        eo:epo_Latn es:spa_Latn et:est_Latn eu:eus_Latn fa:pes_Arab fi:fin_Latn fo:fao_Latn fr:fra_Latn ga:gle_Latn
        gd:gla_Latn gl:glg_Latn gn:grn_Latn gu:guj_Gujr ha:hau_Latn he:heb_Hebr hi:hin_Deva hr:hrv_Latn ht:hat_Latn
        hu:hun_Latn hy:hye_Armn id:ind_Latn ig:ibo_Latn is:isl_Latn it:ita_Latn ja:jpn_Jpan jv:jav_Latn ka:kat_Geor
        kk:kaz_Cyrl km:khm_Khmr kn:kan_Knda ko:kor_Hang ku:kmr_Latn ky:kir_Cyrl lb:ltz_Latn lg:lug_Latn ln:lin_Latn
        lo:lao_Laoo lt:lit_Latn lv:lvs_Latn mg:plt_Latn mi:mri_Latn mk:mkd_Cyrl ml:mal_Mlym mn:khk_Cyrl mr:mar_Deva
        ms:zsm_Latn mt:mlt_Latn my:mya_Mymr ne:npi_Deva nl:nld_Latn nn:nno_Latn no:nob_Latn ny:nya_Latn oc:oci_Latn
        om:gaz_Latn or:ory_Orya pa:pan_Guru pl:pol_Latn ps:pbt_Arab pt:por_Latn qu:quy_Latn ro:ron_Latn ru:rus_Cyrl
        rw:kin_Latn sa:san_Deva sd:snd_Arab si:sin_Sinh sk:slk_Latn sl:slv_Latn sm:smo_Latn sn:sna_Latn so:som_Latn
        sq:als_Latn sr:srp_Cyrl st:sot_Latn su:sun_Latn sv:swe_Latn sw:swh_Latn ta:tam_Taml te:tel_Telu tg:tgk_Cyrl
        th:tha_Thai ti:tir_Ethi tk:tuk_Latn tl:tgl_Latn tn:tsn_Latn tr:tur_Latn ts:tso_Latn tt:tat_Cyrl ug:uig_Arab
        uk:ukr_Cyrl ur:urd_Arab uz:uzn_Latn vi:vie_Latn wo:wol_Latn xh:xho_Latn yi:ydd_Hebr yo:yor_Latn yue:yue_Hant
        zh:zho_Hans zu:zul_Latn
        """,
    )
)
"""By primary language tag: those that are spoken or read here."""

_OTHER = {"he": ("iw",), "no": ("nb", "nob"), "tl": ("fil",), "jv": ("jw",)}
_MACRO = {
    "ar": ("ara",), "az": ("aze_Latn", "aze"), "et": ("est",), "fa": ("fas",), "lv": ("lav",), "mg": ("mlg",),
    "mn": ("mon",), "ms": ("msa", "may"), "ne": ("nep",), "no": ("nor",), "ps": ("pus",), "sq": ("sqi",),
    "sw": ("swa",), "uz": ("uzb_Latn",), "yi": ("yid",), "zh": ("cmn_Hans", "cmn", "zh_cn", "zh"),
}  # fmt: skip


def family(vocabulary: Container[str], two_tokenisers: bool) -> Family | None:
    """Which family a model is of, by what its vocabulary calls English; Opus-MT has a tokeniser for each side."""
    if FLORES["en"] in vocabulary:
        return "nllb"
    if "__en__" in vocabulary:
        return "m2m100"
    if "<2en>" in vocabulary:
        return "madlad"
    return "opus" if two_tokenisers else None


def token(model: Family, tag: str, vocabulary: Container[str]) -> str | None:
    """The token of a language (primary tag) in this vocabulary; None where the model does not know it."""
    return next((one for one in _candidates(model, tag) if one in vocabulary), None)


def languages(model: Family, vocabulary: Container[str]) -> frozenset[str]:
    """The languages, of those that we know, that the vocabulary has a token for."""
    return frozenset(tag for tag in FLORES if token(model, tag, vocabulary) is not None)


def _candidates(model: Family, tag: str) -> Iterator[str]:
    if model == "nllb":
        if tag in FLORES:
            yield FLORES[tag]
    elif model == "opus":
        long = FLORES.get(tag, "")
        for name in (long[:3], *_MACRO.get(tag, ()), long, tag, *_OTHER.get(tag, ())):
            yield f">>{name}<<"
    else:
        begin, end = ("__", "__") if model == "m2m100" else ("<2", ">")
        for name in (tag, *_OTHER.get(tag, ())):
            yield f"{begin}{name}{end}"
