"""What a search, a classifier, an outlier detector and a regressor came to, beside the mixture that each holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastgmm.summary.mixture import count_of, facts_of, row_weights, table
from fastgmm.summary.text import Section, Summary, labelled_line

__all__ = ["summary"]

#: Near ties and reasons of failure that are written out.
MOST_LISTED = 5


def summary(model: Any, X: Any = None, sample_weight: Any = None) -> Summary:
    """Describe a fitted estimator in a few lines of text.

    Parameters
    ----------
    model : fitted estimator
    X : array-like of shape (n_samples, n_features), optional
        Rows to be counted by component.
    sample_weight : array-like of shape (n_samples,), optional
        The weight of each row. By default every row counts once. Rows with weight 0 are ignored.

    Returns
    -------
    Summary
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
    return Summary.of(Section(*facts_of(model, X, sample_weight), *table(model, X, sample_weight)))


def _name(n_components: int, covariance_type: str, distribution: str = "normal", **others: Any) -> str:
    student = "Student " if distribution == "student" else ""
    return f"{student}{covariance_type}, {count_of(n_components, 'component')}"


def _search(search: Any, X: Any, sample_weight: Any) -> Summary:
    criterion = search.criterion if isinstance(search.criterion, str) else "the criterion given"
    failures = [reason for reason in search.results_["failure"] if reason]
    best = search.best_params_
    title = f"{type(search).__name__}: {count_of(len(search.results_['failure']), 'candidate')}, chosen by {criterion}"
    lines = [labelled_line("best", f"{_name(**best)}; {criterion} {search.best_score_:.6g}")]
    ties = search.near_ties_
    if ties:
        listed = "; ".join(f"{_name(**tie)} ({criterion} +{tie['difference']:.3g})" for tie in ties[:MOST_LISTED])
        lines.append(labelled_line("close", listed + ("" if len(ties) <= MOST_LISTED else "; ...")))
    if failures:
        # The component in which it happened is of the candidate; the reason after it is shared.
        reasons = Counter(reason.split(": ", 1)[-1] for reason in failures)
        listed = "; ".join(
            reason + (f" ({n} times)" if n > 1 else "") for reason, n in reasons.most_common(MOST_LISTED)
        )
        lines.append(labelled_line("failed", f"{count_of(len(failures), 'candidate')}: {listed}"))
    # A search that an earlier version fitted has none.
    lines += [labelled_line("warning", text) for text in getattr(search, "cautions_", ())]
    if search.stopped_:
        lines.append(labelled_line("warning", "a callback ended the search before all candidates were tried"))
    # The best model knows no names of columns: the search has checked them.
    X, names = X if X is None else np.asarray(X), getattr(search, "feature_names_in_", None)
    best_model = search.best_estimator_
    shown = table(best_model, X, sample_weight, names=None if names is None else [str(name) for name in names])
    return Summary.of(Section(title, lines), Section(*facts_of(best_model, X, sample_weight), *shown))


def _classifier(model: Any, X: Any, sample_weight: Any) -> Summary:
    mixture = model._mixture()
    title, of_mixture = facts_of(mixture, X, sample_weight)
    title = title.replace(type(mixture).__name__ + ": ", f"{type(model).__name__}: {len(model.classes_)} classes, ")
    classes = "; ".join(f"{name} {share:.1%}" for name, share in zip(model.classes_, model.priors_, strict=True))
    lines = [
        labelled_line("classes", classes),
        labelled_line(
            "chosen",
            f"{model.covariance_type_}{', t components' if hasattr(model, 'df_') else ''}; BIC {model.bic_:.6g}",
        ),
        *of_mixture,
    ]
    names = [str(model.classes_[c]) for c in model.component_classes_]
    return Summary.of(Section(title, lines, *table(mixture, X, sample_weight, {"class": names})))


def _detector(model: Any, X: Any, sample_weight: Any) -> Summary:
    mixture = model.mixture_
    title, of_mixture = facts_of(mixture, X, sample_weight)
    title = title.replace(type(mixture).__name__, type(model).__name__)
    if isinstance(model.contamination, str):
        how = f"so are {model.significance:.3g} of the rows that the model draws"
    else:
        how = f"so are {model.contamination:.3g} of the rows it was fitted to"
    lines = [labelled_line("threshold", f"rows with a log density below {model.offset_:.6g} are anomalies; {how}")]
    if X is not None:
        weight = row_weights(X, sample_weight)
        found = float(weight[np.asarray(model.predict(X)) < 0].sum())
        lines.append(labelled_line("anomalies", f"{found:.6g} of {weight.sum():.6g} rows"))
    return Summary.of(Section(title, [*lines, *of_mixture], *table(mixture, X, sample_weight)))


def _regressor(model: Any) -> Summary:
    mixture, n_inputs = model.mixture_, model.n_features_in_
    title, lines = facts_of(mixture)
    n_targets = len(model.scale_) - n_inputs
    title = title.replace(type(mixture).__name__, type(model).__name__)
    title = title[: title.rindex(", ")] + f", {count_of(n_inputs, 'input')} and {count_of(n_targets, 'target')}"
    known = getattr(model, "feature_names_in_", [f"x{j}" for j in range(n_inputs)])
    # Targets first: they are shown however many inputs there are.
    names = [*(["y"] if n_targets == 1 else [f"y{j}" for j in range(n_targets)]), *map(str, known)]
    means = np.roll(mixture.means_ * model.scale_ + model.centre_, n_targets, axis=1)
    return Summary.of(Section(title, lines, *table(mixture, None, None, means=means, names=names)))
