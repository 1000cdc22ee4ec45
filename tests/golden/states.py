"""What is recorded of a fitted estimator, and files of it.

A file holds the numbers of all cases one after the other as float64, which is exact for float32, bool and the integers
met here, and a description of what they are. An archive with an entry for every array would be several times as large.
"""

import json
from dataclasses import fields, is_dataclass

import numpy as np

__all__ = ["differences", "read", "state_of", "write"]

MIXTURE = (
    *(
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "precisions_cholesky_",
        "converged_",
        "n_iter_",
        "n_passes_",
    ),
    *("log_likelihood_gap_", "lower_bound_", "lower_bounds_", "n_samples_seen_", "n_features_in_", "stopped_"),
    "feature_names_in_",
)
PARAMETERS = ("weights_", "means_", "covariances_", "precisions_cholesky_", "n_iter_")
PREDICTIONS = ("predict", "predict_proba", "score_samples")

#: Attributes by class; one that a model does not have is left out, and must then be missing from what is compared too.
ATTRIBUTES = {
    "GaussianMixture": (*MIXTURE, "noise_weight_", "noise_box_", "statistics_"),
    "BayesianGaussianMixture": (
        *MIXTURE,
        *("weight_concentration_prior_", "mean_precision_prior_", "degrees_of_freedom_prior_", "mean_prior_"),
        *("covariance_prior_", "weight_concentration_", "mean_precision_", "degrees_of_freedom_"),
        *("n_effective_components_", "elbo_", "statistics_"),
    ),
    "GaussianMixtureClassifier": (
        *("classes_", "priors_", "component_classes_", "weights_", "means_", "covariances_", "precisions_cholesky_"),
        *("covariance_type_", "bic_", "converged_", "n_iter_", "lower_bound_", "lower_bounds_", "stopped_"),
    ),
    "GaussianMixtureOutlierDetector": ("offset_", "n_components_", "n_iter_", "bic_", "stopped_"),
    "GaussianMixtureRegressor": ("centre_", "scale_", "n_components_", "n_iter_", "stopped_"),
    "GaussianMixtureSearch": ("best_params_", "best_score_", "near_ties_", "stopped_"),
}
#: Differences of numbers that nearly agree, which show rounding alone; and rows drawn by NumPy along singular vectors,
#: whose signs are LAPACK's to choose. They are compared where all else is the same to the bit.
AMPLIFIED = ("log_likelihood_gap_", "sample")
#: Mixtures inside, of which the parameters are recorded: what else they know of their fit is the estimator's to say.
INNER = ("mixture_", "best_estimator_")
#: Of a search's table; the time is not the same twice.
COLUMNS = ("n_components", "covariance_type", "log_likelihood", "n_parameters", "bic", "icl", "aic", "converged")


def state_of(model, data, predictions=True):
    """Return what a fitted estimator is, as a flat dict of arrays and strings by name."""
    state = {}
    kind = type(model).__name__
    for name in ATTRIBUTES[kind]:
        if hasattr(model, name):
            _add(state, name, getattr(model, name))
    for name in INNER:
        if hasattr(model, name):
            for inner in PARAMETERS:
                _add(state, f"{name}.{inner}", getattr(getattr(model, name), inner))
    if kind == "GaussianMixtureSearch":
        for name in (*COLUMNS, "failure", "score", "difference"):
            _add(state, f"results_.{name}", model.results_[name])
    if predictions:
        for name, value in _answers(model, kind, data):
            _add(state, name, value)
    return state


def _answers(model, kind, data):
    rows = data.asked
    if kind == "GaussianMixtureRegressor":
        rows = np.ascontiguousarray(rows[:, : model.n_features_in_])
        targets = data.asked[:, model.n_features_in_ :]
        conditional = model.condition(rows)
        yield "predict", model.predict(rows)
        yield "predict_covariance", model.predict_covariance(rows)
        yield "log_density", model.log_density(rows, targets)
        yield "condition.means", conditional.means
        yield "sample", model.sample(rows[:3], random_state=1)
        return
    for method in PREDICTIONS:
        if hasattr(model, method):
            yield method, getattr(model, method)(rows)
    if kind == "GaussianMixtureOutlierDetector":
        yield "pvalue", model.pvalue(rows)
    elif kind == "GaussianMixtureClassifier":
        yield "decision_function", model.decision_function(rows)
    else:
        yield "score", model.score(rows)
        yield "sample", model.sample(4, random_state=1)[0]
    if kind == "GaussianMixture":
        yield "criteria", [model.bic(rows), model.aic(rows), model.icl(rows)]


def _add(state, name, value):
    """Add a value, taken apart where it is made of others."""
    if is_dataclass(value):
        for field in (field for field in fields(value) if getattr(value, field.name) is not None):
            _add(state, f"{name}.{field.name}", getattr(value, field.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            _add(state, f"{name}.{key}", item)
    elif isinstance(value, tuple) or (isinstance(value, list) and any(isinstance(item, dict) for item in value)):
        for number, item in enumerate(value):
            _add(state, f"{name}[{number}]", item)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        state[name] = json.dumps(value.tolist())
    elif isinstance(value, np.ndarray | np.number | np.bool_ | bool | int | float) or _is_numbers(value):
        state[name] = np.asarray(value)
    else:
        state[name] = json.dumps(value, default=_plain)


def _is_numbers(value):
    return isinstance(value, list) and bool(value) and all(isinstance(item, int | float | np.generic) for item in value)


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value.tolist()


def write(path, states):
    """Write the states of all cases, a dict of dicts, to one file; the same states make the same bytes."""
    described, values = {}, []
    for case, state in states.items():
        described[case] = entries = {}
        for name, value in state.items():
            if isinstance(value, str):
                entries[name] = value
            else:
                exact = value.astype(np.float64)
                assert np.array_equal(exact.astype(value.dtype), value, equal_nan=value.dtype.kind == "f"), (case, name)
                entries[name] = [value.dtype.str, list(value.shape)]
                values.append(exact.ravel())
    manifest = np.frombuffer(json.dumps(described).encode(), dtype=np.uint8)
    with open(path, "wb") as file:
        np.savez_compressed(file, manifest=manifest, values=np.concatenate(values))


def read(path):
    """Return the states that `write` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        described, values = json.loads(archive["manifest"].tobytes()), archive["values"]
    states, at = {}, 0
    for case, entries in described.items():
        states[case] = state = {}
        for name, entry in entries.items():
            if isinstance(entry, str):
                state[name] = entry
                continue
            dtype, shape = entry
            stop = at + int(np.prod(shape))
            state[name] = values[at:stop].reshape(shape).astype(dtype)
            at = stop
    return states


def differences(found, recorded, tolerance, same_machine=True):
    """Return what differs between two states of a case, a line for each.

    Parameters
    ----------
    found, recorded : dict
        As `state_of` returns.
    tolerance : float
        On floating-point numbers, relative to the largest of an array, at least one; anything else is to be equal.
    same_machine : bool
        Whether `AMPLIFIED` entries are to be the same to the bit where all others are; they are not compared otherwise.
    """
    lines = [f"{name} is missing" for name in recorded if name not in found]
    lines += [f"{name} is new" for name in found if name not in recorded]
    changed = False
    for name in sorted((name for name in recorded if name in found), key=AMPLIFIED.__contains__):
        ours, theirs = found[name], recorded[name]
        if isinstance(ours, str) or isinstance(theirs, str):
            if isinstance(ours, np.ndarray) or isinstance(theirs, np.ndarray) or ours != theirs:
                lines.append(f"{name} is {ours}; recorded {theirs}")
        elif ours.dtype != theirs.dtype or ours.shape != theirs.shape:
            lines.append(f"{name} is {ours.dtype} {ours.shape}; recorded {theirs.dtype} {theirs.shape}")
        else:
            if name in AMPLIFIED and (changed or not same_machine):
                continue
            size = distance(ours, theirs)
            changed = changed or size > 0.0
            if size > (tolerance if ours.dtype.kind == "f" and name not in AMPLIFIED else 0.0):
                lines.append(f"{name} differs by {size:.3g}: {_short(ours)}; recorded {_short(theirs)}")
    return lines


def distance(ours, theirs):
    """Return the largest difference of two arrays of one shape, relative to the largest number, at least one."""
    if not ours.size or np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
        return 0.0
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(theirs)
    if not np.array_equal(np.isfinite(ours), finite) or not np.array_equal(ours[~finite], theirs[~finite], True):
        return np.inf
    return float(np.abs(ours - theirs)[finite].max() / max(1.0, np.abs(theirs[finite]).max()))


def _short(array):
    return np.array2string(array.ravel()[:3], precision=17)
