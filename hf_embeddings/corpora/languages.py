"""What sentences depend on a language for: its abbreviations, whether a number with a dot is an ordinal, its stops.

A language is its ISO 639-1 code. Where none is given, it is guessed for each document: by its script, and where several
languages share that, by the words that are most frequent in them.
"""

import re
from collections.abc import Mapping

SAMPLE = 500  # characters of a document that its language is guessed by

# Words before a dot after which the sentence goes on; those of English hold in every language.
_LATIN = {
    "en": "e.g i.e eg ie cf vs etc al dr mr mrs ms prof sr jr st fig figs eq eqs ed eds vol approx resp incl "
    "viz dept univ inc ltd co corp jan feb mar apr jun jul aug sep sept oct nov dec",
    "de": "abb abs allg anm aufl bspw bzgl bzw ca d d.h dgl dipl einschl engl entspr etc evtl exkl gem gfs ggf "
    "ggfs griech h hrsg i i.d.r inkl insb jh kap mind mio mrd nr o.ä rd s s.o sog spez std str tel u u.a "
    "u.u u.ä usw v vgl z z.b z.t zz zzgl",
    "fr": "apr av boul chap env ex fig hab m mgr mlle mm mme p.ex p.s réf tél vol éd",
    "es": "cap dra ee ej excmo fig gral ntra núm p.ej prof prov pág págs sra sras sres tel teléf ud uds vda",
    "it": "cap cfr dott ecc es fig ill ing int mons num p.es pag pagg prof sig sig.ra sigg tel",
    "pt": "cap dra ex fig núm obs p.ex prof profa pág sra srta tel",
    "pl": "ang art dr fig godz hab inż itd itp jw lek m.in mgr min mjr nast np nr ok pkt prof pt r rys str szt "
    "tab tj tys tzn tzw ul ur wg woj ws ww zob łac św",
    "tr": "age alm bkz böl bşk cad doç dr haz mah müh prof s sok vb vd yay yy örn öğr",
    "nl": "a.u.b afb bijv blz ca d.w.z drs enz evt excl incl ing ir max mevr min mr mw nl nr o.a resp t.a.v tel zgn",
    "sv": "bl.a dvs exkl fr.o.m ggr inkl kap kl m.fl m.m nr osv resp s.k t.ex t.o.m",
    "da": "bl.a dvs ekskl evt f.eks fig inkl jf kap kl m.fl m.m mht nr osv pga pkt",
    "nb": "bl.a dvs ekskl evt f.eks fig inkl jf kap kl m.fl m.m nr osv pga pkt",
    "fi": "esim huom ko ks mm n nk ns os prof s so tms tri ym yms",
    "cs": "apod atd atp cca dr fig ing jr kap kupř mgr mj mudr např nám obr odst ok pozn prof př příp resp sp "
    "str sv tab tel tj tzn tzv ul viz č čl",
    "hu": "dr fej ill kb kft ld lásd old pl prof stb sz szerk tel u.n vö ált ún",
    "ro": "dl dna dr etc fig lit nr pag pct prof sec str tab tel ş.a ș.a",
    "vi": "gs ths tp ts",
}
_CYRILLIC = {
    "ru": "акад англ букв в вв г гг гл гос греч д др ед и.о изд илл инж итд канд кв кн лат млн млрд напр обл "
    "пер пл пос пр просп проф р рис род руб с сб св см соч ср стр т т.д т.е т.к т.п табл тел тов тт тыс "
    "укр ул фиг чел шт экз",
    "uk": "акад англ вул г гг гл див кн млн млрд напр обл перекл пор проф рис рр руб с см ст стор т.д т.п табл "
    "тел тис ім ін",
}
_GREEK = {
    "el": "αγ αρ βλ δηλ δρ εικ κ κ.ά κ.λπ κ.τ.λ κεφ κκ κλπ λ.χ μ.χ π.χ πχ σελ στρ τηλ τόμ",
}
_ABBREVIATIONS = {
    language: frozenset(f"{words} {_LATIN['en']}".split())
    for group in (_LATIN, _CYRILLIC, _GREEK)
    for language, words in group.items()
}
# "Am 3. Mai": a number and a dot is an ordinal, and the sentence goes on.
ORDINALS = frozenset("de da nb nn no fi is cs sk sl hr sr bs pl hu et lv tr az eu".split())
# Languages that write spaces between sentences and clauses and no stop.
WITHOUT_STOPS = frozenset({"th", "lo"})
SCRIPTS = {  # the first and last letters of a script -> the language that is taken for
    "th": "\u0e01-\u0e5b", "lo": "\u0e81-\u0edf", "el": "\u0370-\u03ff\u1f00-\u1fff", "ru": "\u0400-\u052f",
    "hi": "\u0900-\u097f", "ar": "\u0600-\u06ff", "ko": "\uac00-\ud7a3", "ja": "\u3041-\u30ff", "zh": "\u4e00-\u9fff",
    "km": "\u1780-\u17ff", "my": "\u1000-\u109f", "hy": "\u0531-\u058f", "am": "\u1200-\u139f", "he": "\u05d0-\u05ea",
}  # fmt: skip
FUNCTION_WORDS = {
    "en": "the of and to in is that for it with as are this be on",
    "de": "der die das und ist nicht ein eine zu den mit von für auf wird",
    "fr": "le la les des et une est du pour que dans vous sur au pas",
    "es": "el la los las que y una es del para con se por en al",
    "it": "il lo gli di che e una è per con del della non nel si",
    "pt": "o os as que e uma é do da para com não em no na",
    "pl": "i w na nie z się jest do to że o dla jak przez po",
    "tr": "ve bir bu için ile olarak da de daha olan veya çok her ne gibi",
    "nl": "de het een en van is dat in te op voor met niet zijn aan",
    "sv": "och att det i en som är på för med av inte den till ett",
    "da": "og at det i en som er på for med af ikke den til et",
    "nb": "og at det i en som er på for med av ikke den til et",
    "fi": "ja on ei se että hän ovat tai kun mutta myös joka oli niin kuin",
    "cs": "a se v na je že do s to pro jako k z by nebo",
    "sk": "a sa v na je že do s to pre ako k z by alebo",
    "sl": "in je v na se da za z ki so ali pa kot če ni",
    "hr": "i je u na se da za su od s koji ili kao biti nije",
    "hu": "a az és hogy nem is egy van ez meg csak vagy de ha mint",
    "et": "ja on ei et see kui ka või oma mis ning siis aga olla kas",
    "ro": "și de la în cu o un pentru nu este pe din care sau că",
    "vi": "và của là có trong được các cho một không này với những người bạn",
    "id": "yang dan di ini untuk dengan dari itu dalam pada tidak adalah atau akan ke",
}
_LATIN_LETTER = re.compile("[A-Za-z\u00c0-\u024f]")
_LETTERS = {language: re.compile(f"[{letters}]") for language, letters in SCRIPTS.items()}
_OTHER_SCRIPT = re.compile(f"[{''.join(SCRIPTS.values())}]")
_WORDS = {language: frozenset(words.split()) for language, words in FUNCTION_WORDS.items()}
_LANGUAGES_OF: Mapping[str, list[str]] = {
    word: [language for language, words in _WORDS.items() if word in words]
    for word in frozenset().union(*_WORDS.values())
}
EVIDENCE = 3  # function words of a document that its language is told by


def guess_language(document: str) -> str | None:
    """Return the language of a document, or one of the same script that writes sentences alike; None if not known."""
    sample = document[:SAMPLE]
    if _OTHER_SCRIPT.search(sample):
        counts = {language: len(letters.findall(sample)) for language, letters in _LETTERS.items()}
        if 10 * counts["ja"] > counts["zh"]:  # kana among Chinese characters
            counts["ja"] += counts["zh"]
        if 3 * sum(counts.values()) > len(_LATIN_LETTER.findall(sample)):  # more than foreign words
            return max(counts, key=lambda language: counts[language])
    votes: dict[str, int] = {}
    for word in sample.lower().split():
        for language in _LANGUAGES_OF.get(word, ()):
            votes[language] = votes.get(language, 0) + 1
    best = max(votes, key=lambda language: votes[language], default=None)
    return best if best and votes[best] >= EVIDENCE else None


def is_code(language: str) -> bool:
    """Tell whether a language is written as ISO 639 does: two or three small letters."""
    return re.fullmatch("[a-z]{2,3}", language) is not None


def abbreviations(language: str | None) -> frozenset[str]:
    """Return the words before a dot after which a sentence goes on; those of English are known everywhere."""
    return _ABBREVIATIONS.get(language or "", _ABBREVIATIONS["en"])
