"""What a sceptic would try before a model: predictions for `nlpk eval TASK FILE --predictions`.

    python tests/benchmarks/baselines.py qa-window cmrc2018_trial.json > told.jsonl
    nlpk eval qa cmrc2018_trial.json --predictions told.jsonl
    python tests/benchmarks/baselines.py ie-dictionary test.jsonl --train train.jsonl > told.jsonl

qa-window: what else stands in the clause that shares the longest piece with the question. qa-sentence: the sentence
nearest by TF-IDF of characters. nl2sql-keywords: cells and headers that stand in the question, and words such as 最高.
ie-dictionary: triples of the training file whose subject and object stand in the text. similarity-tfidf, -bm25: runs of
characters. xiangqi-book: the most frequent replies to the game so far in the training file, else to the last moves.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

import bm25s
from sklearn.feature_extraction.text import TfidfVectorizer

from nlptasks import form, rows
from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.row import Options as TableOptions
from nlptasks.nl2sql.tables import Table
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_score
from nlptasks.xiangqi import rules
from nlptasks.xiangqi.games import read_game
from nlptasks.xiangqi.notation import iccs

CLAUSE, SENTENCE = re.compile(r"[^。！？!?；;，,\n]+"), re.compile(r"[^。！？!?\n]+")
#: TableQA's aggregates by a word that asks for each; 0 is none.
AGGREGATES = {
    "平均": 1,
    "均": 1,
    "最高": 2,
    "最大": 2,
    "最多": 2,
    "最低": 3,
    "最小": 3,
    "多少个": 4,
    "几个": 4,
    "总": 5,
}
#: TableQA's operators, of a number, by a word in front of it.
OPERATORS = {"大于": 0, "超过": 0, "高于": 0, "多于": 0, "小于": 1, "低于": 1, "不到": 1, "少于": 1}
NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: How many of the last moves name a place in the book, from the surest on.
BEHIND = (1000, 4, 2, 1, 0)
Told = Iterator[dict[str, Any]]


def shared(one: str, other: str) -> tuple[int, int]:
    """Find the longest piece that both texts have: where it starts in the first, and its length."""
    match = SequenceMatcher(None, one, other, autojunk=False).find_longest_match()
    return match.a, match.size


def qa_window(labelled: Sequence[Any], given: argparse.Namespace) -> Told:
    """Answer with the longer rest of the clause that shares most with the question."""
    for row in labelled:
        clauses = [match.group() for text in row.texts for match in CLAUSE.finditer(text)]
        places = [shared(clause, row.question) for clause in clauses]
        best = max(range(len(clauses)), key=lambda place: places[place][1])
        first, size = places[best]
        yield {"answer": max(clauses[best][:first], clauses[best][first + size :], key=len)}


def qa_sentence(labelled: Sequence[Any], given: argparse.Namespace) -> Told:
    """Answer with the sentence nearest to the question."""
    for row in labelled:
        sentences = [match.group() for text in row.texts for match in SENTENCE.finditer(text)]
        vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 2)).fit_transform([*sentences, row.question])
        yield {"answer": sentences[int((vectors[:-1] @ vectors[-1].T).toarray().argmax())]}


def nl2sql_keywords(labelled: Sequence[Any], given: argparse.Namespace) -> Told:
    """Ask for the header most like the question, where cells stand that it names."""
    library = Library.asked(TableOptions(tables=given.tables))
    for row in labelled:
        yield {"query": query(row.question, library.table(row.table_id, row.inline))}


def query(question: str, table: Table) -> dict[str, Any]:
    """Make a query of TableQA's form from what stands in the question."""
    conditions: list[list[Any]] = []
    for number, numeric in enumerate(table.numeric):
        if not numeric:
            cells = [str(cell) for cell in table.distinct(number) if cell and str(cell) in question]
            conditions += [[number, 2, max(cells, key=len)]] if cells else []
    asked = [shared(column.name, question)[1] for column in table.columns]
    for word, operator in OPERATORS.items():
        found = NUMBER.search(question, question.find(word)) if word in question else None
        numbers = [place for place, numeric in enumerate(table.numeric) if numeric]
        if found and numbers:
            conditions.append([max(numbers, key=lambda place: asked[place]), operator, found.group()])
    taken = {column for column, _, _ in conditions}
    free = [place for place in range(len(asked)) if place not in taken] or [0]
    aggregate = next((number for word, number in AGGREGATES.items() if word in question), 0)
    connective = (2 if "或" in question else 1) if len(conditions) > 1 else 0
    column = max(free, key=lambda place: asked[place])
    return {"sel": [column], "agg": [aggregate], "cond_conn_op": connective, "conds": conditions}


def ie_dictionary(labelled: Sequence[Any], given: argparse.Namespace) -> Told:
    """Find what the training file knows."""
    known = {tuple(triple[:3]) for row in read("ie", given.train) for triple in row.triples or []}
    by_subject = defaultdict(list)
    for subject, predicate, value in known:
        by_subject[subject].append((predicate, value))
    for row in labelled:
        found = [
            {"subject": {"text": subject}, "predicate": predicate, "object": {"text": value}}
            for subject in by_subject
            if subject in row.text
            for predicate, value in by_subject[subject]
            if value in row.text
        ]
        yield {"triples": found}


def similarity_tfidf(labelled: Sequence[Any], given: argparse.Namespace) -> Told:
    """Compare runs of one to three characters, the rarer the weightier."""
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
    vectors.fit([text for row in labelled for text in (row.a, row.b)])
    left, right = (vectors.transform([getattr(row, name) for row in labelled]) for name in "ab")
    yield from ({"cosine": float(value)} for value in left.multiply(right).sum(1).A1)


def similarity_bm25(labelled: Sequence[Any], given: argparse.Namespace) -> Told:
    """Score one sentence as a document for the other."""
    index = bm25s.BM25()
    index.index([list(row.b) for row in labelled], show_progress=False)
    for number, row in enumerate(labelled):
        known = [one for one in set(row.a) if one in index.vocab_dict]
        yield {"cosine": float(index.get_scores(known)[number]) if known else 0.0}


def xiangqi_book(labelled: Sequence[Any], given: argparse.Namespace) -> Told:
    """Reply as most games did."""
    book: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for row in read("xiangqi", given.train):
        moves = tuple(read_game(row.moves, row.fen).moves)
        for place, move in enumerate(moves):
            for behind in BEHIND:
                book[keyed(moves[:place], behind)][move] += 1
    for row in labelled:
        game = read_game(" ".join(row.moves.split()[:-1]), row.fen)
        legal = set(rules.legal_moves(*rules.laid_out([game.now])).moves.tolist())
        ranked: dict[int, None] = {}
        for behind in BEHIND:
            replies = book.get(keyed(tuple(game.moves), behind), Counter())
            ranked |= dict.fromkeys(move for move, _ in replies.most_common() if move in legal)
        yield {"moves": [{"iccs": iccs(move), "probability": 1 / (2 + rank)} for rank, move in enumerate(ranked)][:5]}


def keyed(moves: tuple[int, ...], behind: int) -> tuple[int, ...]:
    """Name a place in the book by its last moves, the number of which stands in front."""
    return (behind, *moves[max(0, len(moves) - behind) :])


BASELINES: dict[str, Callable[[Sequence[Any], argparse.Namespace], Told]] = {
    "qa-window": qa_window,
    "qa-sentence": qa_sentence,
    "nl2sql-keywords": nl2sql_keywords,
    "ie-dictionary": ie_dictionary,
    "similarity-tfidf": similarity_tfidf,
    "similarity-bm25": similarity_bm25,
    "xiangqi-book": xiangqi_book,
}


def read(task: str, name: str) -> list[Any]:
    """Read a labelled file of a task."""
    made = form(task)
    return [rows.parse(made.Row, row) for row in load(Source(name), to_score(made)).rows]


def main() -> None:
    """Print a prediction for each record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("baseline", choices=list(BASELINES))
    parser.add_argument("file", help="any file that nlpk eval takes")
    parser.add_argument("--train", help="what ie-dictionary and xiangqi-book know")
    parser.add_argument("--tables", action="append", help="of nl2sql-keywords")
    given = parser.parse_args()
    for told in BASELINES[given.baseline](read(given.baseline.partition("-")[0], given.file), given):
        print(json.dumps({"prediction": told}, ensure_ascii=False))


if __name__ == "__main__":
    main()
