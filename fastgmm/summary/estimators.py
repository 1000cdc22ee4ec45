"""What a search, a classifier, an outlier detector and a regressor came to, beside the mixture that each holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.summary.mixture import count_of, facts_of, labelled_line, row_weights, table

__all__ = ["summary"]

#: Near ties and reasons of failure that are written out.
MOST_LISTED = 5


def summary(model: Any, X: Any = None, sample_weight: Any = None) -> str:
    """Describe a fitted estimator in a few lines of text.

    Parameters
    ----------
    model : fitted estimator
    X : array-like of shape (n_samples, n_features), optional
        Rows to count by component.
    sample_weight : array-like of shape (n_samples,), optional
        What each row counts for.

    Returns
    -------
    str
        Title, parameters, convergence, overlap, warnings, and a table of components, numbered as by `predict`.
    """
    check_is_fitted(model)
    # Told apart by what they hold: this room is below the estimators.
    if hasattr(model, "results_"):
        return _search(model, X, sample_weight)
    if hasattr(model, "component_classes_"):
        return _classifier(model, X, sample_weight)
    if hasattr(model, "scale_") and hasattr(model, "mixture_"):
        return _regressor(model)
    if hasattr(model, "offset_"):
        return _detector(model, X, sample_weight)
    return _text(*facts_of(model, X, sample_weight), table(model, X, sample_weight))


def _text(title: str, lines: list[str], rows: list[str]) -> str:
    return "\n".join([title, *lines, "", *rows])


def _name(n_components: int, covariance_type: str, distribution: str = "normal", **others: Any) -> str:
    student = "Student " if distribution == "student" else ""
    return f"{student}{covariance_type}, {count_of(n_components, 'component')}"


def _search(search: Any, X: Any, sample_weight: Any) -> str:
    criterion = search.criterion if isinstance(search.criterion, str) else "the criterion given"
    failures = [reason for reason in search.results_["failure"] if reason]
    best = search.best_params_
    lines = [
        f"{type(search).__name__}: {count_of(len(search.results_['failure']), 'candidate')}, chosen by {criterion}",
        labelled_line("best", f"{_name(**best)}; {criterion} {search.best_score_:.6g}"),
    ]
    ties = search.near_ties_
    if ties:
        listed = "; ".join(f"{_name(**tie)} (+{tie['difference']:.3g})" for tie in ties[:MOST_LISTED])
        lines.append(labelled_line("as good", listed + ("" if len(ties) <= MOST_LISTED else "; ...")))
    if failures:
        # The component in which it happened is of the candidate; the reason after it is shared.
        reasons = Counter(reason.split(": ", 1)[-1] for reason in failures)
        listed = "; ".join(f"{n} {reason}" for reason, n in reasons.most_common(MOST_LISTED))
        lines.append(labelled_line("failed", f"{len(failures)}: {listed}"))
    # A search that an earlier version fitted has none.
    lines += [labelled_line("warning", text) for text in getattr(search, "cautions_", ())]
    if search.stopped_:
        lines.append(labelled_line("warning", "a callback ended the search before all candidates were tried"))
    return "\n".join([*lines, "", summary(search.best_estimator_, X, sample_weight)])


def _classifier(model: Any, X: Any, sample_weight: Any) -> str:
    mixture = model._mixture()
    title, of_mixture = facts_of(mixture, X, sample_weight)
    title = title.replace(type(mixture).__name__ + ": ", f"{type(model).__name__}: {len(model.classes_)} classes, ")
    classes = "; ".join(f"{name} {share:.1%}" for name, share in zip(model.classes_, model.priors_, strict=True))
    lines = [
        labelled_line("classes", classes),
        labelled_line("chosen", f"{model.covariance_type_}; BIC {model.bic_:.6g}"),
        *of_mixture,
    ]
    names = [str(model.classes_[c]) for c in model.component_classes_]
    return _text(title, lines, table(mixture, X, sample_weight, {"class": names}))


def _detector(model: Any, X: Any, sample_weight: Any) -> str:
    mixture = model.mixture_
    title, of_mixture = facts_of(mixture, X, sample_weight)
    title = title.replace(type(mixture).__name__, type(model).__name__)
    if isinstance(model.contamination, str):
        how = f"which the model's own rows fall below with probability {model.significance:g}"
    else:
        how = f"which {model.contamination:.3g} of the rows fell below"
    lines = [labelled_line("threshold", f"log density {model.offset_:.6g}, {how}")]
    if X is not None:
        weight = row_weights(X, sample_weight)
        found = float(weight[np.asarray(model.predict(X)) < 0].sum())
        lines.append(labelled_line("anomalies", f"{found:.6g} of {weight.sum():.6g} rows"))
    return _text(title, [*lines, *of_mixture], table(mixture, X, sample_weight))


def _regressor(model: Any) -> str:
    mixture, n_inputs = model.mixture_, model.n_features_in_
    title, lines = facts_of(mixture)
    n_targets = len(model.scale_) - n_inputs
    title = title.replace(type(mixture).__name__, type(model).__name__)
    title = title[: title.rindex(", ")] + f", {count_of(n_inputs, 'input')} and {count_of(n_targets, 'target')}"
    known = getattr(model, "feature_names_in_", [f"x{j}" for j in range(n_inputs)])
    # Targets first: they are shown however many inputs there are.
    names = [*(["y"] if n_targets == 1 else [f"y{j}" for j in range(n_targets)]), *map(str, known)]
    means = np.roll(mixture.means_ * model.scale_ + model.centre_, n_targets, axis=1)
    return _text(title, lines, table(mixture, None, None, means=means, names=names))
