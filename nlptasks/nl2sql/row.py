"""What NL2SQL reads and learns from; what it can be told stands in `settings`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nlptasks import rows
from nlptasks.errors import RecordError
from nlptasks.nl2sql import query
from nlptasks.nl2sql.settings import Options as Options  # these three are a task's form, as rows and methods are
from nlptasks.nl2sql.settings import Settings as Settings
from nlptasks.nl2sql.settings import Sweep as Sweep
from nlptasks.training.settings import Method

#: Characters of a question.
LONGEST = 2000
#: What a record may bring of a table of its own.
OWN_TABLE = ("header", "types", "rows")


def arranged(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Put a record into the form of a row: a query as text, a table of its own as one field."""
    made = {ALIASES.get(name, name): value for name, value in fields.items()}
    if isinstance(made.get("sql"), Mapping):
        made["sql"] = json.dumps(made["sql"], ensure_ascii=False)
    if isinstance(made.get("header"), list) and "inline" not in made:
        own = {name: made[name] for name in OWN_TABLE if name in made}
        made["inline"] = json.dumps(own, ensure_ascii=False)
    return made


@dataclass(frozen=True)
class Row:
    """A question and the table that it is asked of."""

    question: str
    """The question."""
    table_id: str | None = None
    """Name of the table in the file of --tables."""
    inline: str | None = None
    """A table of the record's own, as JSON with header, types and rows; a record may also have these three itself."""
    sql: str | None = None
    """The right query, as SQL or as TableQA's or WikiSQL's object, {} where the table can't answer; needed to score."""

    arranged = staticmethod(arranged)

    def __post_init__(self) -> None:
        """Refuse a row that asks nothing.

        Raises:
            RecordError: the question is blank.
        """
        check(self.question)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A question, its table and the right query."""

    question: str
    """The question."""
    table_id: str | None = None
    """Name of the table in the file of --tables."""
    inline: str | None = None
    """A table of the record's own, as JSON with header, types and rows."""
    sql: str
    """The right query; {} where the table cannot answer."""

    arranged = staticmethod(arranged)

    def __post_init__(self) -> None:
        """Refuse a row that asks nothing.

        Raises:
            RecordError: the question is blank, or the query is an object in another form.
        """
        check(self.question)
        reference(self.sql, None)


METHODS = {
    "slots": Method(
        "scores every slot of a query, values matched with cells and units, likely queries tried out",
        Scored,
        {"batch_size": 16, "epochs": 2.0, "learning_rate": 3e-4, "rates": "heads:10"},
    ),
    "baseline": Method(
        "tags values in the question, one column each, as in kexue.fm/archives/6771",
        Scored,
        {"batch_size": 16, "epochs": 2.0, "learning_rate": 3e-4, "rates": "heads:3"},
    ),
}

COLUMNS = dict.fromkeys(METHODS, ("question", "table_id", "sql"))
COLUMNS_ASKED = ("question", "table_id", "sql")
#: Fields that only training and scoring need.
REFERENCES = ("sql",)
#: A backbone that has learnt nothing does not answer unless it is named.
NEEDS_MODEL = True
SAMPLES = dict.fromkeys(METHODS, "train.jsonl")
SAMPLE_DEV = "dev.jsonl"
#: What `nlpk demo nl2sql --try` asks for: once, and then again and again.
TRIED = (("table",), ("question",))
ALIASES = {"sql_text": "sql"}
#: What `nlpk data convert` can write.
FORMATS = ("jsonl", "tableqa")


def check(question: str) -> None:
    """Refuse a question that asks nothing, or is a book.

    Raises:
        RecordError: it is blank, or too long.
    """
    if not question.strip():
        raise RecordError("field 'question': found only blanks, expected a question")
    if len(question) > LONGEST:
        raise RecordError(f"field 'question': found {len(question):,} characters, expected {LONGEST:,} or less")


def reference(text: str, header: list[str] | None) -> query.Query | None:
    """Read the right query; none where the table cannot answer.

    Args:
        text: SQL, or an object of TableQA or WikiSQL as JSON.
        header: names of the table's columns; without them SQL only has to be of the right form, and is not given.

    Raises:
        RecordError: it is neither, or does not fit the table.
    """
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError as error:
            raise RecordError(f"field 'sql': invalid JSON ({error}); expected SQL or TableQA's object") from None
        if not found:
            return None
        made = query.of_json(found)
    else:
        from nlptasks.nl2sql import parsing  # here, because sqlglot takes a while to import

        made = parsing.read(text, header)
        if header is None:
            return None
    if header is not None:
        query.check_columns(made, header)
    return made


def training_rows(method: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn one training record into a row to learn from.

    Args:
        method: of METHODS; they learn from the same.
        fields: the record's own.

    Raises:
        RecordError: the record cannot be used.
    """
    row = rows.parse(Scored, fields)
    if row.inline is not None:
        from nlptasks.nl2sql.library import Library  # here, because it needs numpy

        reference(row.sql, Library().own(row.inline).names)
    return [asdict(row)]


def fitting(fields: Mapping[str, Any], method: str | None) -> list[str]:
    """Tell which methods a record can train, and `eval`: all.

    Raises:
        RecordError: none.
    """
    training_rows(method or next(iter(METHODS)), fields)
    return [*METHODS, "eval"] if method is None else [method]


def traits(fields: Mapping[str, Any]) -> dict[str, int]:
    """Count what is worth knowing of a record that can be used; `nlpk data check` adds it up."""
    row = rows.parse(Scored, fields)
    is_object = row.sql.lstrip().startswith("{")
    found = reference(row.sql, None) if is_object else None
    aggregates = found is not None and any(aggregate for aggregate, _ in found.select)
    return {
        "unanswerable": is_object and found is None,
        "sql_text": not is_object,
        "aggregates": aggregates,
        "several_conditions": found is not None and len(found.conditions) > 1,
        "no_condition": found is not None and not found.conditions,
    }


def beside(settings: Mapping[str, Any], *, dev: bool) -> list[str]:
    """Name the files that training or dev records refer to, if any."""
    return list((settings.get("dev_tables") if dev else None) or settings.get("tables") or [])


def checking(named: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], None]:
    """Give what refuses a record whose table is missing or whose query does not fit it.

    Args:
        named: where the tables are, by the names that `Options` has for it.
    """
    from nlptasks.nl2sql.library import Library  # here, because it needs numpy

    library = Library.asked(Options(table=named.get("table"), tables=named.get("tables"), db=named.get("db")))

    def look(fields: Mapping[str, Any]) -> None:
        row = rows.parse(Scored, fields)
        table = library.table(row.table_id, row.inline)
        reference(row.sql, table.header)

    return look


def converted(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record as a line of another format.

    Args:
        fields: the record's own.
        to: of FORMATS.

    Raises:
        RecordError: it does not have what the format needs, or the format cannot hold what it has.
    """
    row = rows.parse(Row, fields)
    made: dict[str, Any] = {name: value for name, value in asdict(row).items() if value is not None}
    if row.sql is not None and row.sql.lstrip().startswith("{"):
        made["sql"] = json.loads(row.sql)
    if "inline" in made:
        made |= json.loads(made.pop("inline"))
    if to == "tableqa":
        made = {"table_id": needed_id(row), "question": row.question, "sql": tableqa(row, fields)}
    return [json.dumps(made, ensure_ascii=False)]


def needed_id(row: Row) -> str:
    """Give a row's table.

    Raises:
        RecordError: it names none.
    """
    if row.table_id is None:
        raise RecordError("no table_id; TableQA's form names its table by one")
    return row.table_id


def tableqa(row: Row, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Write a row's query as TableQA does.

    Raises:
        RecordError: it has none, or one that this form cannot say.
    """
    found = None
    if row.sql is not None:
        header = json.loads(row.inline)["header"] if row.inline else None
        if header is None and not row.sql.lstrip().startswith("{"):
            raise RecordError("SQL text without its table, so its columns have no numbers; give it header and types")
        found = reference(row.sql, header)
    made = query.as_json(found) if found else None
    if made is None:
        raise RecordError("no query that TableQA's form can say: outputs and conditions with >, <, == and != only")
    return made


def plain_lines(prediction: Mapping[str, Any]) -> list[str]:
    """Write a prediction as a line of SQL; a comment where the table cannot answer."""
    return [f"{prediction['sql']};" if prediction["sql"] else "-- the table cannot answer"]


def is_plain(options: Options) -> bool:
    """Tell whether predictions are written as plain lines."""
    return options.sql_only
