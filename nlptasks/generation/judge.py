"""An independent judge of labels: a linear classifier of characters that has only seen real texts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

logger = logging.getLogger(__name__)
#: Parts into which texts are cut where the judge is tried on those that it learns from.
PARTS = 5
#: Runs of characters that are looked at, and texts up to which all of them are.
MOST, FEW = 200_000, 1000


class Judge:
    """A classifier for one condition, and how often it is right on real texts that it has not seen."""

    def __init__(self, classifier: Any, accuracy: float) -> None:  # noqa: ANN401 - scikit-learn has no types
        """Wrap a classifier that has learnt."""
        self.classifier, self.accuracy = classifier, accuracy

    def accuracy_of(self, texts: Sequence[str], labels: Sequence[str]) -> float:
        """Give the share of texts in which the judge sees their label."""
        return share(self.classifier.predict(list(texts)), labels)


def share(found: Sequence[str], labels: Sequence[str]) -> float:
    """Give the share of labels that were found."""
    return sum(bool(one == other) for one, other in zip(found, labels, strict=True)) / len(labels)


def taught(
    texts: Sequence[str], labels: Sequence[str], unseen: tuple[Sequence[str], Sequence[str]] | None
) -> Judge | None:
    """Teach a judge; none where scikit-learn is missing, or there is too little to learn from.

    Args:
        texts: real ones.
        labels: theirs.
        unseen: other real texts and their labels, to try the judge on; else it is tried on its own texts by fifths,
            each judged by one that has seen the others.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
    except ImportError:
        logger.info("no control_accuracy: pip install 'nlpk[scores]'")
        return None
    counts = Counter(labels)
    if len(counts) < 2 or min(counts.values()) < 2 or len(texts) < 2 * PARTS:
        needs = "a judge learns from %d texts or more, of two labels at least, and two texts of each"
        logger.info(f"no control_accuracy: {needs}", 2 * PARTS)
        return None
    least = 2 if len(texts) > FEW else 1  # in few texts no run may stand twice
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 3), min_df=least, sublinear_tf=True, max_features=MOST
    )
    classifier = make_pipeline(vectorizer, LogisticRegression(C=10.0, max_iter=1000))
    if unseen is None:
        parts = StratifiedKFold(min(PARTS, *counts.values()), shuffle=True, random_state=0)
        found = cross_val_predict(classifier, list(texts), list(labels), cv=parts)
        return Judge(classifier.fit(list(texts), list(labels)), share(found, labels))
    judge = Judge(classifier.fit(list(texts), list(labels)), 0.0)
    judge.accuracy = judge.accuracy_of(*unseen)
    return judge
