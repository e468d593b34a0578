"""Cut cloze questions out of plain text, a first stage of training for QA: `python data/models/qa_cloze.py CORPUS`.

    python data/models/qa_cloze.py corpus.txt.xz --without trial.json --rows 20000 > cloze.jsonl

From each paragraph stretches of a kind are taken that a question can ask for: a date, an amount, a person, a place, an
organisation, a title, what stands in quotes, what something is, has or is called, and why. The question is the clause
around the stretch with a word of question in its place, behind the topic of the paragraph, and without some of its
words. From a tenth of the records the sentence that answers is taken out. Paragraphs that stand in a file of
`--without` are left out.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jieba
import jieba.posseg

from nlptasks import files

#: Characters of a paragraph, of a clause that says enough to ask by, and of a question.
SHORTEST, LONGEST, CLAUSE, QUESTION = 100, 400, 7, 40
#: Kinds that are asked of a paragraph, one stretch of each.
MOST = 3
#: Share of records whose answer is taken out; of the words of a clause that are left out.
EMPTY, DROPPED = 0.1, 0.06
MEASURES = (
    "平方公里|平方千米|平方米|立方米|公里|千米|厘米|毫米|公顷|公斤|千克|美元|英镑|分钟|小时|个月|百分点|米|吨|克|亩|元|岁|人|名|位|个|座|所|"
    "家|次|种|场|天|部|张|集|层|辆|艘|首|项|条|本|票|分"
)
BODIES = {
    **{"大学": "哪所大学", "学院": "哪所学院", "中学": "哪所中学", "公司": "哪家公司", "集团": "哪个集团"},
    **{"银行": "哪家银行", "医院": "哪家医院", "出版社": "哪家出版社", "博物馆": "哪个博物馆", "俱乐部": "哪个俱乐部"},
    **{"协会": "哪个协会", "委员会": "哪个委员会", "研究所": "哪个研究所", "电视台": "哪个电视台", "乐队": "哪个乐队"},
}
PLACES = {"省": "哪个省", "市": "哪个城市", "县": "哪个县", "国": "哪个国家", "区": "哪个区", "州": "哪个州"}
#: How each kind is found, and what may be asked; where the pattern has a group, that is the answer.
KINDS: dict[str, tuple[str, list[str]]] = {
    "day": (
        r"(?:公元前?)?\d{1,4}年\d{1,2}月(?:\d{1,2}日)?|\d{1,2}月\d{1,2}日",
        ["什么时候", "何时", "哪一天", "什么时间"],
    ),
    "year": (r"(?<!\d)(?:公元前?)?\d{3,4}年(?![\d代来间])", ["哪一年", "哪年", "什么时候", "何时"]),
    "time": (
        r"(?:上午|下午|晚上|早上|早晨|中午|凌晨|傍晚)[\d一二三四五六七八九十两]{1,3}[点时](?:[\d一二三四五六七八九十]{1,3}分|半)?",
        ["几点", "什么时候"],
    ),
    "amount": (
        rf"(?<![\d.第])(?:\d[\d,.]*|[二三四五六七八九十百千两]{{2,5}})(?:余|多)?[万亿]?(?:余|多)?(?:{MEASURES})",
        ["多少{unit}", "多少{unit}", "几{unit}"],
    ),
    "share": (r"(?<![\d.])\d[\d.]*[%％]|百分之[一二三四五六七八九十百零点]+", ["多少", "百分之几"]),
    "title": (r"《[^《》]{1,20}》", ["什么作品", "哪部作品", "什么", "哪本书"]),
    "quoted": (r"(?<=[是为叫作称])“([^“”，。]{2,14})”", ["什么"]),
    "named": (
        r"(?:又名|又称|别名|俗称|简称|原名|本名|古称|外号|绰号|英文名|别称)[为是叫]?([^，。；（）、的“”]{1,16})(?=[，。；）])",
        ["什么"],
    ),
    "what": (r"(?<=是)(一[^，。；]{4,28})(?=[，。；])", ["什么", "什么"]),
    "list": (
        r"(?:包括|分为|分别是|分别为|包含)(?:了|有)?((?:[^，。；、和与及]{1,10}、)+[^，。；、]{1,14})(?=[，。；等])",
        ["哪些", "什么"],
    ),
    "why": (r"(?<=由于)([^，。；]{4,28})(?=[，而])|(?<=因为)([^，。；]{4,28})(?=[，而])", ["什么原因", "什么"]),
}
#: What a word is by its part of speech, and before which place words stand that `在哪里` can ask for.
BEFORE_PLACE = ("在", "于", "自", "往", "至", "由", "赴")
WHO, WHERE = ["谁", "哪位", "什么人", "谁"], ["哪里", "什么地方", "哪儿"]
SURNAMES = set(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾萧肖田董袁潘蔡蒋余于杜叶程魏苏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏"
    "韦傅方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严赖覃洪武莫孔"
)
SENTENCE, BREAK = re.compile(r"[^。！？]+[。！？]?"), "，；：,;"
TOPIC = re.compile(r"^[《“]?([^，。；：（）(《》“”]{2,10}?)[》”]?(?=（|\(|是|位于|，(?:是|原名|又名|又称|位于))")
#: How a paragraph begins that says what it is about, or depends on another.
OPENING = re.compile(
    r"第.{1,4}[条章节]|[（(]?[一二三四五六七八九十\d]+[、.）)]|[他她它我你您这那而但因从在不有对]|如果|为了|由于|新华社|中新|本报|"
    r"[^，。]{0,12}月[^，。]{1,5}日电|[^，。]{0,9}某"
)
KEPT = set("谁几多少何不没未非无")


@dataclass(frozen=True)
class Stretch:
    """What can be asked for: its characters in a paragraph, and the words of question."""

    start: int
    end: int
    kind: str
    asked: list[str]


class Cutter:
    """Asks questions of paragraphs."""

    def __init__(self, seed: int) -> None:
        """Begin to draw."""
        self.random = random.Random(seed)

    def records(self, text: str) -> Iterator[dict[str, object]]:
        """Ask some questions of a paragraph."""
        found = list(stretches(text))
        self.random.shuffle(found)
        asked: set[str] = set()
        for one in found:
            if one.kind in asked or len(asked) == MOST:
                continue
            question = self.question(text, one)
            if question:
                asked.add(one.kind)
                yield self.record(text, one, question)

    def record(self, text: str, one: Stretch, question: str) -> dict[str, object]:
        """Make a record, now and then of the paragraph without its answer."""
        answer = text[one.start : one.end]
        start, end = sentence_of(text, one)
        without = text[:start] + text[end:]
        if self.random.random() < EMPTY and answer not in without and len(without) >= SHORTEST // 2:
            return {"question": question, "passage": without, "answers": []}
        return {"question": question, "passage": text, "answers": [answer], "starts": [one.start]}

    def question(self, text: str, one: Stretch) -> str | None:
        """Ask for a stretch by the clause around it; none where that says too little."""
        start, end = sentence_of(text, one)
        low, high = clause_of(text, one, start, end)
        before, behind = text[low : one.start].strip("“”《》 "), text[one.end : high].strip("“”《》。！？ ")
        word = self.random.choice(one.asked).format(**parts_of(text[one.start : one.end]))
        if len(before) + len(behind) < CLAUSE:
            return None
        topic = TOPIC.match(text)
        is_named = topic is None or topic[1] in before + behind or topic[1] in text[one.start : one.end]
        said = "" if topic is None or is_named or low == 0 or self.random.random() < 0.2 else topic[1]
        asked = said + self.thinned(before) + word + self.thinned(behind)
        if self.random.random() < 0.2 and one.kind in ("year", "day", "place", "person"):
            asked = self.turned(said + self.thinned(before).rstrip("于在由被"), self.thinned(behind), word, one.kind)
        asked = re.sub(r"[，；：]{2,}", "，", asked).strip("，；： ")
        return asked + self.random.choice(["？", "？", ""]) if CLAUSE <= len(asked) <= QUESTION else None

    def turned(self, before: str, behind: str, word: str, kind: str) -> str:
        """Put the word of question at the end, or at the beginning where it stands for a person."""
        if kind == "person":
            return f"{word}{behind or before}" if not before else f"{before}{behind}的是{word}"
        return f"{before}{behind}{self.random.choice(['是', '是在', '在'])}{word}"

    def thinned(self, clause: str) -> str:
        """Leave out some words of a clause."""
        words = jieba.lcut(clause)
        return "".join(w for w in words if self.random.random() > DROPPED or w in KEPT or len(words) < 3)


def stretches(text: str) -> Iterator[Stretch]:
    """Find what can be asked for."""
    for kind, (pattern, asked) in KINDS.items():
        for match in re.finditer(pattern, text):
            yield Stretch(*match.span(match.lastindex or 0), kind, asked)
    yield from named(text, list(jieba.posseg.lcut(text)))


def named(text: str, words: Sequence[Any]) -> Iterator[Stretch]:
    """Find persons, places and organisations by their words."""
    at = first = 0
    for number, (word, flag) in enumerate(words):
        end = at + len(word)
        body = next((head for head in BODIES if word.endswith(head)), None)
        if body and end - first > len(body) and text[end : end + 1] not in ("长", "员"):
            yield Stretch(first, end, "body", [BODIES[body]])
        if flag == "nr" and 2 <= len(word) <= 3 and word[0] in SURNAMES and text.count(word) > 1:
            yield Stretch(at, end, "person", WHO)
        if word == "·" and number and number + 1 < len(words):
            yield Stretch(at - len(words[number - 1].word), end + len(words[number + 1].word), "person", WHO)
        if flag == "ns" and len(word) > 1:
            asked = WHERE if text[at - 1 : at] in BEFORE_PLACE else []
            if word[-1] in PLACES:
                asked = [*asked, PLACES[word[-1]]]
            if asked:
                yield Stretch(at, end, "place", asked)
        first = first if flag[0] in "njb" and not body else end
        at = end


def parts_of(answer: str) -> dict[str, str]:
    """Give what a word of question says of an answer: its unit."""
    unit = re.search(rf"(?:{MEASURES})$", answer)
    return {"unit": unit[0] if unit else ""}


def sentence_of(text: str, one: Stretch) -> tuple[int, int]:
    """Give the place of the sentence around a stretch."""
    return next(match.span() for match in SENTENCE.finditer(text) if match.end() >= one.end)


def clause_of(text: str, one: Stretch, start: int, end: int) -> tuple[int, int]:
    """Give the place of the clause around a stretch, with its neighbours as long as it says too little."""
    low, high = one.start, one.end
    while low > start and text[low - 1] not in BREAK:
        low -= 1
    while high < end and text[high] not in BREAK:
        high += 1
    while low > start and (one.start - low) + (high - one.end) < CLAUSE + 3:
        low -= 1
        while low > start and text[low - 1] not in BREAK:
            low -= 1
    return low, high


def paragraphs(path: str) -> Iterator[str]:
    """Read the paragraphs of a file that can be asked."""
    for record in files.read_records(path, names=("text",), format="text"):
        text = str(record.fields.get("text") or "").strip()
        is_whole = SHORTEST <= len(text) <= LONGEST and text[-1] in "。！？”" and not OPENING.match(text)
        if is_whole and sum(one.isascii() and one.isalpha() for one in text) < len(text) / 10:
            yield text


def reserved(paths: Sequence[Path]) -> set[str]:
    """Give the sentences that stand in files, whatever their form."""
    said = "".join(path.read_text(encoding="utf-8") for path in paths).replace("\\n", "。").replace("\\", "")
    return {match[0].strip(" 。") for match in SENTENCE.finditer(said)}


def main() -> None:
    """Write records until there are enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--without", type=Path, nargs="*", default=[], help="files whose paragraphs are left out")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=int, default=3, help="kinds of stretches that a paragraph must have")
    chosen = parser.parse_args()
    jieba.setLogLevel(logging.WARNING)
    cutter, kept, count = Cutter(chosen.seed), reserved(chosen.without), 0
    for text in paragraphs(chosen.corpus):
        if sum(bool(re.search(pattern, text)) for pattern, _ in KINDS.values()) < chosen.least:
            continue
        if any(match[0].strip(" 。") in kept for match in SENTENCE.finditer(text)):
            continue
        for record in cutter.records(text):
            sys.stdout.write(json.dumps({"id": f"cloze-{count}", **record}, ensure_ascii=False) + "\n")
            count += 1
            if count == chosen.rows:
                return


if __name__ == "__main__":
    main()
