"""Words of a question that tell operators, aggregates and orders: a closed class, which no model has to learn anew."""

from __future__ import annotations

import re

#: What stands directly before a value, by operator; the longer words of all operators are tried first.
BEFORE = {
    ">": "超过 大于 高于 多于 超出 晚于 高过 多过 大过 胜过 好于 优于 强于 长于 重于 贵于",
    "<": "低于 小于 少于 不到 没到 未到 不足 早于 不满 未满 短于 轻于 差于",
    ">=": "不低于 不少于 不小于 不早于 大于等于 大于或等于 高于等于 至少 最少 起码 达到 达 满 从",
    "<=": "不超过 不超出 不超 没超过 没超出 未超过 不高于 不大于 不多于 不晚于 小于等于 小于或等于 低于等于 "
    "至多 最多 顶多 截至 截止",
    "!=": "不是 不为 不等于 不属于 不在 不叫 除了 除开 除 排除 不包括 并非 非",
    "like": "包含 含有 带有 里有 中有 里带 含 带",
}
#: What stands directly behind a value.
BEHIND = {
    ">": "之后 以后 往后 开外 还高 还多 还大 更高 更多 更大",
    "<": "之前 以前 往前 还低 还少 还小",
    ">=": "及以上 或以上 以上 或更多 或更高 起 以来",
    "<=": "及以下 或以下 以下 以内 之内 或更少 或更低",
    "!=": "以外 之外 除外",
    "like": "两个字 二字 字样",
}
#: What a number counts may stand between it and what is said of it: 200张以上.
MEASURE = r"[^\d的，、。\s]{0,2}?"
#: Words that are a comparison with a number by themselves; without an operator they say equal.
SPOKEN: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("不及格", "没及格", "未及格"), ("<", 60.0)),
    **dict.fromkeys(("及格", "合格线以上"), (">=", 60.0)),
    **dict.fromkeys(("负的", "负数", "负值", "为负", "是负", "亏损"), ("<", 0.0)),
    **dict.fromkeys(("免费", "不要钱", "不收费"), ("", 0.0)),
}
SPOKEN_PATTERN = re.compile("|".join(sorted(SPOKEN, key=len, reverse=True)))
GREATER, LESS = "高大多晚贵长重远快强深宽厚久老", "低小少早短轻近慢弱浅窄薄新"
#: What is said with 比 before a value and a comparison behind it.
COMPARED = {
    ">": re.compile(rf"^{MEASURE}(?:还|要|更)?[{GREATER}]"),
    "<": re.compile(rf"^{MEASURE}(?:还|要|更)?(?:[{LESS}]|便宜)"),
}
#: What the whole question says.
WHOLE_CUES = {
    "AVG": re.compile("平均|均值|均价|人均"),
    "MAX": re.compile(f"最[{GREATER}]|最高值|最大值|峰值|上限"),
    "MIN": re.compile(f"最[{LESS}]|最便宜|最低值|最小值|下限"),
    "COUNT": re.compile(
        "多少[个家座套本部款只名位所道条种场间支台辆项人件次]|几[个家座套本部款只名位所道条种场间支台辆项人件次]|数量|个数|数一数|总数"
    ),
    "SUM": re.compile("一共|总共|合计|总计|总和|加起来|累计|总额|总量|总(?=[^共计和数额量是的])"),
    "group": re.compile("每[个家种名位类座一年月天省市]|各[个家自省市类地]?|按.{1,12}统计|不同.{1,12}各"),
    "distinct": re.compile("不同的|哪几[种类]|几[种类]|哪些种|多少种|不重复|去重|不要重复|出现过"),
    "top": re.compile("前[0-9一二两三四五六七八九十]|排名|排行|名列前"),
    "last": re.compile("倒数|[后末][0-9一二两三四五六七八九十]名?|垫底|末尾"),
    "down": re.compile(f"降序|倒序|从[{GREATER}]到|由[{GREATER}]到|递减"),
    "up": re.compile(f"升序|正序|从(?:[{LESS}]|便宜)到|由(?:[{LESS}]|便宜)到|递增"),
    "all": re.compile("全部信息|所有信息|详细信息|所有字段|完整记录|全部内容|所有内容|所有资料"),
    "or": re.compile("或(?!以|更|等)|要么|抑或|还是|任[一何]|其中[一任]|之一"),
    "and": re.compile("且|同时|并(?![列非不])|既|又|还要|也要"),
    "which": re.compile("哪|谁|什么|啥"),
    "how much": re.compile("多少|几|多[高大长重远久]"),
}
LETTERS = 8  # before and behind a value


def alternation(words: dict[str, str], *, at_end: bool) -> re.Pattern[str]:
    """Make a pattern of the words of all operators that stand at the edge of a value, the longest first."""
    listed = sorted((word for one in words.values() for word in one.split()), key=len, reverse=True)
    joined = "|".join(map(re.escape, listed))
    return re.compile(rf"({joined})(?:了|在|于|到|过|有|是)?$" if at_end else rf"^(?:的|这|{MEASURE})({joined})")


#: What stands between the two ends of a range, which are numbers or dates: 2018年到2020年.
RANGE_BEHIND = re.compile(rf"{MEASURE}(?:到|至|[~～—–-])\s?[\d零〇一二两三四五六七八九十百千万亿]")
RANGE_BEFORE = re.compile(
    r"[\d零〇一二两三四五六七八九十百千万亿][年月日号%％]?[^\d的，、。\s]{0,2}(?:到|至|[~～—–-])\s?$"
)
OPERATORS = tuple(BEFORE)
BEFORE_PATTERN, BEHIND_PATTERN = alternation(BEFORE, at_end=True), alternation(BEHIND, at_end=False)
BEFORE_OF = {word: operator for operator, words in BEFORE.items() for word in words.split()}
BEHIND_OF = {word: operator for operator, words in BEHIND.items() for word in words.split()}


def operators(question: str, start: int, end: int) -> set[str]:
    """Say which operators the words around a value tell.

    Args:
        question: any text.
        start: first character of the value.
        end: behind its last character.
    """
    before, behind = question[max(0, start - LETTERS) : start], question[end : end + LETTERS]
    found = {SPOKEN[question[start:end]][0]} - {""} if question[start:end] in SPOKEN else set()
    if match := BEFORE_PATTERN.search(before):
        found.add(BEFORE_OF[match[1]])
    if match := BEHIND_PATTERN.search(behind):
        found.add(BEHIND_OF[match[1]])
    if RANGE_BEHIND.match(behind):
        found.add(">=")
    if RANGE_BEFORE.search(before):
        found.add("<=")
    if before.endswith("比"):
        found |= {operator for operator, pattern in COMPARED.items() if pattern.search(behind)}
    return found


def whole(question: str) -> list[bool]:
    """Say which of WHOLE_CUES a question has."""
    return [pattern.search(question) is not None for pattern in WHOLE_CUES.values()]
