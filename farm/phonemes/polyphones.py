"""Which of a Mandarin character's readings a sentence means, where its word alone does not say.

Rules look at the words beside a character, one function per character: what comes before and
after, and jieba's word class (`v` verb, `n` noun, `m` numeral, `ud` the particle 得, ...).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Word = tuple[str, str]


@dataclass(frozen=True)
class Place:
    """Where a character stands: its word class, and the words beside it with theirs."""

    kind: str
    before: str
    kind_before: str
    after: str
    kind_after: str


Rule = Callable[[Place], str]

_COUNTED = re.compile(r"[一二两三四五六七八九十百千万几每这那哪半多各某数]$")
_ADVERBS = frozenset("就都还也可总又必却便只该真不")
_MEASURED = frozenset("全总周波边弧体翼")
_DEGREES = tuple("很太非更最真十多不")
_DONE = frozenset(("v", "a", "l", "i", "z", "b", "vn", "ad"))


def depends(character: str) -> bool:
    """Whether a character is read by the rules here, wherever no dictionary has its word."""
    return character in _RULES or character in _FIXED


def resolve(words: Sequence[Word]) -> list[str]:
    """Return for each word its reading in syllables, or "" where the dictionary decides.

    A word is `(characters, word class)`; only words of one character have rules.
    """
    readings = []
    for index, (text, kind) in enumerate(words):
        before = words[index - 1] if index else ("", "x")
        after = words[index + 1] if index + 1 < len(words) else ("", "x")
        if text in _RULES:
            readings.append(_RULES[text](Place(kind, *before, *after)))
        elif text == "一行" and after[0].startswith("人"):
            readings.append("yi1 xing2")  # People who go together, not in a row.
        else:
            readings.append(_FIXED.get(text, "") or _ALONE.get(text, ""))
    return readings


def _of_degree(at: Place) -> str:
    """得: `de5` after what was done, `de2` got, `dei3` must."""
    done = at.kind_before in _DONE or at.kind_before[:1] in "va"
    if at.after.startswith(("了", "到", "过", "出", "以")):
        return "de5" if done and not at.after.startswith("了") else "de2"
    must = not at.before or at.kind_before in ("x", "r", "c", "n", "nr", "t")
    if (must and not at.after.startswith(_DEGREES)) or at.before in _ADVERBS:
        return "dei3" if at.kind == "ud" else "de2"  # 得分 is one word.
    return "de5"


def _of_ground(at: Place) -> str:
    """地: `de5` between how and what is done, `di4` the ground."""
    if at.kind in ("z", "d"):  # 轻轻地 is one word.
        return "de5"
    acts = at.kind_after[:1] in ("v", "p", "d", "l", "i")
    if acts and at.kind_before not in ("m", "r", "x", "n", "p", "v"):
        return "de5"
    twice = len(at.before) > 1 and at.before[-1] == at.before[-2]
    return "de5" if twice or (at.kind == "uv" and at.kind_before != "x") else "di4"


def _of_length(at: Place) -> str:
    """长: `zhang3` to grow and the head of something, else `chang2`."""
    grows = at.after.startswith(tuple("着得出成满大高起了在胖"))
    # 秘书长 is one word, and so is 全长.
    heads = at.kind == at.kind_before == "n" and at.before not in _MEASURED
    grows = grows and at.before not in ("很", "太", "更", "最", "多")
    return "zhang3" if grows or heads else "chang2"


def _of_kind(at: Place) -> str:
    """种: `zhong4` to plant, where nothing is counted and a thing follows."""
    plants = not _COUNTED.search(at.before) and at.kind_after[:1] in ("n", "u") and at.after != "的"
    return "zhong4" if plants else "zhong3"


def _of_measuring(at: Place) -> str:
    """量: `liang2` the deed, told by what follows."""
    measures = at.after.startswith(tuple("了一着体尺出过")) or at.before in ("了", "一")
    return "liang2" if measures else "liang4"


def _of_ending(at: Place) -> str:
    """了: `liao3` after 不 and before what was not managed, else the particle."""
    return "liao3" if at.before.endswith("不") and len(at.before) > 1 else "le5"


def _of_surname(at: Place) -> str:
    """曾: `zeng1` before a title, else `ceng2`."""
    titles = ("先生", "女士", "小姐", "太太", "老师", "家", "国", "经理", "医生", "教授")
    return "zeng1" if at.after.startswith(titles) else "ceng2"


def _of_doing(at: Place) -> str:
    """为: `wei2` to be or become, `wei4` for whom or why."""
    whom = at.kind_after[:1] in ("n", "r") and at.kind_before[:1] not in ("v", "m")
    return "wei4" if whom else "wei2"


def _of_weight(at: Place) -> str:
    """重: `chong2` again, before a verb."""
    again = at.kind_after[:1] == "v" and at.before not in ("很", "太", "更")
    return "chong2" if again else "zhong4"


def _counted(one: str, other: str) -> Rule:
    """One reading as a measure word, the other elsewhere."""
    return lambda at: one if _COUNTED.search(at.before) else other


def _followed(one: str, marks: str, other: str) -> Rule:
    """One reading before any of these characters, the other elsewhere."""
    return lambda at: one if at.after.startswith(tuple(marks)) else other


#: Characters of one reading in prose, which dictionaries give another first.
_FIXED = {"佛": "fo2", "壳": "ke2", "没": "mei2", "吐": "tu3"}
#: The same where they are a word; within one (教育) they are read as dictionaries say.
_ALONE = {"教": "jiao1"}
_RULES: dict[str, Rule] = {
    "得": _of_degree,
    "地": _of_ground,
    "长": _of_length,
    "种": _of_kind,
    "量": _of_measuring,
    "了": _of_ending,
    "曾": _of_surname,
    "为": _of_doing,
    "重": _of_weight,
    "行": _counted("hang2", "xing2"),
    "只": _counted("zhi1", "zhi3"),
    "还": _followed("huan2", "书钱债给清礼款账了", "hai2"),
    "待": _followed("dai1", "在了着一上过到", "dai4"),
    "背": _followed("bei1", "着起上了包", "bei4"),
    "数": _followed("shu3", "一着了数到不", "shu4"),
    "倒": _followed("dao3", "下在塌", "dao4"),
    "空": _followed("kong4", "出着位", "kong1"),
    "切": _followed("qie1", "开成断了下菜肉", "qie4"),
    "卷": _followed("juan3", "起成着走入", "juan4"),
    "散": _followed("san4", "步开去了落发布", "san3"),
    "盛": _followed("cheng2", "了着满饭汤水放", "sheng4"),
    "干": _followed("gan4", "什活事了吗嘛得完到过", "gan1"),
    "率": _followed("shuai4", "领军队部众先", "lv4"),
}
