"""The tables that questions are asked of, by whatever names them: a file, a database, an id, or the record itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resources
from itertools import islice

from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.nl2sql import sources, tables
from nlptasks.nl2sql.settings import SAMPLE_TABLES, Options
from nlptasks.nl2sql.sources import Database
from nlptasks.nl2sql.tables import Table, Tables


@dataclass
class Library:
    """Finds the table of a record.

    Attributes:
        only: the one that every record is asked of, where there is one.
        shelves: files of tables, looked through in order.
        is_sample: whether the shelves are the sample's, since none was named.
        db: database that holds the rows of the shelves' tables, if any.
        made: tables that records brought, by their JSON.
    """

    only: Table | None = None
    shelves: list[Tables] = field(default_factory=list)
    is_sample: bool = False
    db: Database | None = None
    made: dict[str, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, *names: str) -> Library:
        """Open files of tables; the sample's where none is named.

        Raises:
            InputError: one cannot be read.
        """
        named = list(dict.fromkeys(names))
        sample = str(resources("nlptasks.samples").joinpath("nl2sql", SAMPLE_TABLES))
        return cls(shelves=[tables.read_tables(name) for name in named or [sample]], is_sample=not named)

    @classmethod
    def asked(cls, options: Options) -> Library:
        """Open what asking names.

        Raises:
            InputError: it cannot be read.
            UsageError: a database does not have the table.
        """
        if options.db and not options.tables:
            store = sources.open_database(options.db).store(options.table)
            return cls(only=tables.of_store(store, store.table))
        if options.table:
            return cls(only=sources.open_table(options.table, options.sheet))
        library = cls.of(*(options.tables or []))
        library.db = sources.open_database(options.db) if options.db else None
        return library

    def table(self, id: str | None, inline: str | None) -> Table:
        """Find a record's table.

        Raises:
            RecordError: there is none.
        """
        if inline is not None:
            return self.own(inline)
        if self.only is not None:
            return self.only
        if id is None and [len(shelf) for shelf in self.shelves] == [1]:
            id = next(iter(self.shelves[0]))
        if id is None:
            raise RecordError(f"no table to ask: name one with --table FILE, or {self.remedy()}")
        shelf = next((shelf for shelf in self.shelves if id in shelf.found), self.shelves[0])
        table = shelf[id]
        if self.db is None:
            return table
        key = f"db:{id}"
        if key not in self.made:
            names = [str(shelf.found[id].get("name") or id), f"table_{id.replace('-', '_')}"]  # TableQA's, WikiSQL's
            try:
                self.made[key] = tables.in_database(table, self.db.store(*names))
            except (InputError, UsageError) as error:
                raise RecordError(str(error)) from None
        return self.made[key]

    def remedy(self) -> str:
        """Say how a record names a table of the shelves; nobody asked for the sample's."""
        if self.is_sample:
            return "give table_id and --tables FILE"
        return "by its table_id, such as " + ", ".join(islice((id for shelf in self.shelves for id in shelf), 3))

    def own(self, inline: str) -> Table:
        """Make the table that a record brought.

        Raises:
            RecordError: it is none.
        """
        if inline not in self.made:
            try:
                found = json.loads(inline)
                if not isinstance(found, Mapping) or not found.get("header"):
                    raise RecordError("field 'inline': expected an object with header, types and rows")
                self.made[inline] = tables.of_json("of the record", found)
            except (ValueError, TypeError) as error:
                raise RecordError(f"field 'inline': not a table ({error}); expected header, types and rows") from None
            except InputError as error:
                raise RecordError(f"field 'inline': {error}") from None
        return self.made[inline]
