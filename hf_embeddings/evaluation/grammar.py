"""Pairs of sentences that differ in one thing, which makes one of them wrong: made by a small grammar, not collected.

What is tested: agreement, also over words that stand between, and word order, in English; measure words and word order
in Chinese. All words are frequent ones.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
PAIRS = 40  # of each kind

NOUNS = ("cat cats", "dog dogs", "boy boys", "girl girls", "teacher teachers", "doctor doctors", "child children")
VERBS = ("runs run", "sleeps sleep", "sings sing", "works work", "waits wait", "plays play", "is are", "was were")
ACTS = ("saw", "liked", "followed", "heard", "helped", "knew", "asked")
PLACES = ("in the house", "in the garden", "at the school", "on the street", "near the door")
DETERMINERS = ("this these", "that those", "every all", "one many")

MEASURES = {
    "本": ("书", "词典", "小说"),
    "只": ("猫", "狗", "鸟", "鸡"),
    "张": ("纸", "桌子", "床", "票"),
    "辆": ("车", "自行车", "汽车"),
    "件": ("衣服", "事", "毛衣"),
}
COUNTS = ("一", "两", "三", "这", "那", "几")
PEOPLE = ("他", "她", "我", "你", "老师", "医生", "学生", "孩子")
ACTIONS = ("吃饭", "睡觉", "看书", "唱歌", "工作", "学习")
SPOTS = ("家里", "学校里", "城里", "公园里", "房间里")
THINGS = ("猫", "狗", "书", "车", "花", "鸟")
COLOURS = ("红色", "白色", "黑色", "绿色", "黄色")
ADVERBS = ("也", "常常", "还", "正在", "每天")


class MinimalPair(NamedTuple):
    """Two sentences of the same words or nearly so."""

    kind: str
    right: str
    wrong: str


class Draw:
    """Words drawn at random, the same at every run."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def one(self, words: Sequence[str]) -> str:
        """Return one of the words."""
        return words[int(self.random.integers(len(words)))]

    def two(self, words: Sequence[str]) -> tuple[str, str]:
        """Return two different words."""
        first, second = self.random.choice(len(words), 2, replace=False)
        return words[first], words[second]

    def forms(self, words: Sequence[str]) -> list[str]:
        """Return the singular and the plural of one of the words."""
        return self.one(words).split()


Both = tuple[str, str]  # right and wrong


def _verb(draw: Draw) -> Both:
    number, noun, verb = int(draw.random.integers(2)), draw.forms(NOUNS), draw.forms(VERBS)
    return f"the {noun[number]} {verb[number]} here .", f"the {noun[number]} {verb[1 - number]} here ."


def _distant_verb(draw: Draw) -> Both:
    number, verb = int(draw.random.integers(2)), draw.forms(VERBS)
    noun, other = (word.split() for word in draw.two(NOUNS))
    subject = f"the {noun[number]} near the {other[1 - number]}"
    return f"{subject} {verb[number]} here .", f"{subject} {verb[1 - number]} here ."


def _determiner(draw: Draw) -> Both:
    number, determiner, noun = int(draw.random.integers(2)), draw.forms(DETERMINERS), draw.forms(NOUNS)
    rest = f"{draw.one(ACTS)} it ."
    return f"{determiner[number]} {noun[number]} {rest}", f"{determiner[1 - number]} {noun[number]} {rest}"


def _reflexive(draw: Draw) -> Both:
    number, noun, act = int(draw.random.integers(2)), draw.forms(NOUNS[2:4]), draw.one(ACTS)
    one = "himself" if noun[0] == "boy" else "herself"
    right, wrong = (one, "themselves")[:: 1 - 2 * number]
    place = draw.one(PLACES)
    return f"the {noun[number]} {place} {act} {right} .", f"the {noun[number]} {place} {act} {wrong} ."


def _object(draw: Draw) -> Both:
    (first, second), act, place = draw.two([word.split()[0] for word in NOUNS]), draw.one(ACTS), draw.one(PLACES)
    return f"the {first} {act} the {second} {place} .", f"the {first} the {second} {act} {place} ."


def _preposition(draw: Draw) -> Both:
    noun, act, place = draw.forms(NOUNS)[0], draw.one(ACTS), draw.one(PLACES)
    before, article, name = place.split()
    return f"the {noun} {act} it {place} .", f"the {noun} {act} it {article} {name} {before} ."


def _measure_word(draw: Draw) -> Both:
    right, wrong = draw.two([*MEASURES])
    noun, count, person = draw.one(MEASURES[right]), draw.one(COUNTS), draw.one(PEOPLE)
    return f"{person}有{count}{right}{noun}。", f"{person}有{count}{wrong}{noun}。"


def _place(draw: Draw) -> Both:
    person, spot, action = draw.one(PEOPLE), draw.one(SPOTS), draw.one(ACTIONS)
    return f"{person}在{spot}{action}。", f"{person}{action}在{spot}。"


def _adverb(draw: Draw) -> Both:
    person, adverb, action = draw.one(PEOPLE), draw.one(ADVERBS), draw.one(ACTIONS)
    return f"{person}{adverb}{action}。", f"{person}{action}{adverb}。"


def _attribute(draw: Draw) -> Both:
    person, colour, thing = draw.one(PEOPLE), draw.one(COLOURS), draw.one(THINGS)
    return f"{person}有{colour}的{thing}。", f"{person}有的{colour}{thing}。"


def _question(draw: Draw) -> Both:
    person, thing, other = draw.one(PEOPLE), *draw.two(THINGS)
    return f"{person}喜欢{thing}和{other}吗？", f"吗{person}喜欢{thing}和{other}？"


def _disposal(draw: Draw) -> Both:
    person, thing, verb = draw.one(PEOPLE), draw.one(THINGS), draw.one(("带来了", "找到了", "画好了", "忘记了"))
    return f"{person}把{thing}{verb}。", f"把{thing}{person}{verb}。"


KINDS: dict[Language, dict[str, Callable[[Draw], Both]]] = {
    "en": {
        "verb agrees with the noun before it": _verb,
        "verb agrees over another noun": _distant_verb,
        "determiner agrees": _determiner,
        "reflexive agrees": _reflexive,
        "object after the verb": _object,
        "preposition before the noun": _preposition,
    },
    "zh": {
        "measure word": _measure_word,
        "place before the verb": _place,
        "adverb before the verb": _adverb,
        "attribute before 的": _attribute,
        "吗 at the end": _question,
        "subject before 把": _disposal,
    },
}


def read_languages(names: Sequence[str]) -> list[Language]:
    """Return the languages of these names, each once.

    Raises:
        ValueError: the grammar has no such language.
    """
    if unknown := [name for name in names if name not in LANGUAGES]:
        raise ValueError(f"--minimal-pairs: got {unknown[0]!r}, expected {' or '.join(LANGUAGES)}")
    return [language for language in LANGUAGES if language in names]


def minimal_pairs(language: Language) -> list[MinimalPair]:
    """Return the same pairs at every call, `PAIRS` different ones of each kind, or as many as there are."""
    pairs = []
    for seed, (kind, make) in enumerate(KINDS[language].items()):
        draw = Draw(seed)
        made = dict.fromkeys(make(draw) for _ in range(4 * PAIRS))  # without duplicates, in order
        pairs += [MinimalPair(kind, right, wrong) for right, wrong in [*made][:PAIRS]]
    return pairs
