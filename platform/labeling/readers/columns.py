"""The names that people give to columns and keys, in English and Chinese, and what they mean."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from labeling.faults import Fault, excerpt

NAMES: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "消息", "对话消息"),
    "conversations": ("conversations",),
    "instruction": ("instruction", "指令"),
    "input": ("input", "输入"),
    "output": ("output", "输出"),
    "history": ("history",),
    "prompt": ("prompt", "提示", "提示词"),
    "completion": ("completion", "补全", "续写"),
    "question": (
        "question", "questions", "q", "query", "questiontext", "customerquestion", "userquestion",
        "问题", "提问", "问", "问句", "用户问题", "客户问题", "用户提问", "客户提问", "咨询内容",
    ),
    "answer": (
        "answer", "answers", "a", "reply", "response", "answertext", "agentreply",
        "答案", "回答", "答", "回复", "答复", "客服回答", "客服回复", "标准答案", "标准回答",
    ),
    "system": ("system", "systemprompt", "系统", "系统提示", "系统提示词"),
    "text": ("text", "sentence", "comment", "review", "content",
             "文本", "句子", "评论", "内容", "正文"),
    "labels": ("label", "labels", "标签"),
    "category": ("category", "class", "intent", "sentiment", "topic",
                 "类别", "分类", "意图", "情感", "主题"),
    "id": ("id", "externalid", "rowid", "exampleid", "编号", "标识"),
    "group": (
        "group", "groupid", "conversation", "conversationid", "sessionid", "threadid", "ticketid",
        "分组", "会话", "会话id", "会话编号", "对话id", "对话编号", "工单号", "工单编号",
    ),
    "subject": ("subjectid", "datasubject", "customerid", "contactid", "userid",
                "客户id", "客户编号", "用户id", "用户编号"),
    "passages": ("passages", "参考资料"),
}  # fmt: skip

# A mapping with this key is whole: a column that it does not name means nothing.
NOTHING_ELSE = "*"

# The first of these whose roles are all there says what a row is.
SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("messages", ("messages",)),
    ("conversations", ("conversations",)),
    ("alpaca", ("instruction", "output")),
    ("alpaca", ("instruction", "answer")),
    ("completion", ("prompt", "completion")),
    ("question", ("question", "answer")),
    ("question", ("prompt", "answer")),
    ("question", ("input", "output")),
    ("text", ("text", "labels")),
    ("text", ("text", "category")),
    # Not labelled yet: it comes in as a draft, for people to label.
    ("text", ("text",)),
)

# What a row of any shape may have beside what makes its shape.
BESIDE = frozenset({"id", "group", "labels", "subject", "passages", "system", "input", "history"})

_MEANING = {name: role for role, names in NAMES.items() for name in names}
_FILLING = re.compile(r"[\s_\-]+")


def meaning(name: str) -> str | None:
    """The role of a column or key, or None where the name says nothing to us."""
    plain = unicodedata.normalize("NFKC", name).strip().strip("\ufeff:：?？*").casefold()
    return _MEANING.get(_FILLING.sub("", plain))


@dataclass(frozen=True, slots=True)
class Columns:
    """`roles` maps a role to the index of its column; `ignored` are the names nobody asked for.

    `required` are the roles that must be filled in each row: known where the header fits one shape.
    """

    names: tuple[str, ...]
    roles: Mapping[str, int]
    required: frozenset[str]
    ignored: tuple[str, ...]


# What the header of a table means, or what is wrong with it.
Recognise = Callable[[Sequence[str]], Columns | Fault]


@lru_cache(maxsize=512)
def roles_of(names: tuple[str, ...]) -> Mapping[str, int]:
    """Which name plays which role; where two claim one role, the first has it."""
    roles: dict[str, int] = {}
    for index, name in enumerate(names):
        role = meaning(name)
        if role is not None and role not in roles:
            roles[role] = index
    return roles


def shapes_in(roles: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    present = set(roles)
    return [(shape, needed) for shape, needed in SHAPES if present.issuperset(needed)]


def of_use(roles: Mapping[str, int], shapes: list[tuple[str, tuple[str, ...]]]) -> set[str]:
    """The roles that rows of these shapes read; a category beside an answer is none of them."""
    needed = {role for _shape, roles_needed in shapes for role in roles_needed}
    return {role for role in roles if role in needed or role in BESIDE}


def recognised(cells: Sequence[str], mapping: Mapping[str, str] | None) -> Columns | Fault:
    """What the columns of a header mean. `mapping` (role -> column) overrules the names."""
    names = tuple(cell.strip().strip("\ufeff") for cell in cells)
    chosen: dict[str, int] = {}
    for wanted, column in (mapping or {}).items():
        if wanted == NOTHING_ELSE:
            continue
        if column not in names:
            return Fault(
                "column_missing", figures={"column": excerpt(column), "found": _listed(names)}
            )
        chosen[wanted] = names.index(column)
    # A column that the mapping speaks of means nothing else any more.
    spoken_of = set(chosen.values())
    guessed = {} if mapping and NOTHING_ELSE in mapping else roles_of(names)
    roles = {role: i for role, i in guessed.items() if i not in spoken_of} | chosen
    shapes = shapes_in(roles)
    if not shapes:
        return Fault("columns_unknown", figures={"found": _listed(names)})
    needed = {needed for _shape, needed in shapes}
    roles = {role: roles[role] for role in roles if role in of_use(roles, shapes)}
    used = set(roles.values())
    return Columns(
        names=names,
        roles=roles,
        required=frozenset(needed.pop()) if len(needed) == 1 else frozenset(),
        ignored=tuple(name for index, name in enumerate(names) if name and index not in used),
    )


def understood_mapping(mapping: Mapping[str, str] | None) -> dict[str, str] | None:
    """A mapping with its short keys made roles: {"q": "Frage"} becomes {"question": "Frage"}.

    Raises KeyError with the first key that means nothing.
    """
    if not mapping:
        return None
    roles = {}
    for key, column in mapping.items():
        role = key if key == NOTHING_ELSE else meaning(key)
        if role is None:
            raise KeyError(key)
        roles[role] = column
    return roles


def _listed(names: Sequence[str]) -> str:
    return excerpt(", ".join(name for name in names if name), 120)
