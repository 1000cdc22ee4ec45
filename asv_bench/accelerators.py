"""Other accelerations of EM, in fastgmm's coordinates and metric, to compare with: SQUAREM, Anderson, parabolic EM.

Each takes a `Fit` and returns the best mean log-likelihood known after each pass. A proposal that lowers it, or has no
M-step, costs its pass and the plain step is taken, as in fastgmm. All begin after five plain passes.
"""

from __future__ import annotations

import numpy as np

from fastgmm.data import ArrayRows
from fastgmm.data.e_steps import Plain
from fastgmm.em import QuasiNewton, run_em
from fastgmm.exceptions import ComponentCollapseError
from fastgmm.families import Gaussian, get_covariance
from fastgmm.starts import Start, initial_parameters

__all__ = ["METHODS", "Fit"]

COUNT_FLOOR = 10.0 * np.finfo(np.float64).eps
N_PLAIN = 5
#: Passes in which the log-likelihood gains less than this, in nats per sample, before a method is left.
STILL, N_STILL = 1e-12, 8


class Fit:
    """One problem from one start.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_components : int
    covariance_type : str
    seed : int
        Of the k-means start.
    """

    def __init__(self, X, n_components, covariance_type, seed=0):
        rows = ArrayRows(X)
        self.family = Gaussian(get_covariance(covariance_type), 1e-6, COUNT_FLOOR)
        self.passes = Plain().prepare(rows)
        self.start = initial_parameters(rows, n_components, self.family, Start("kmeans"), np.random.RandomState(seed))

    def step(self, parameters):
        """Return the mean log-likelihood and what plain EM makes of the parameters; one pass."""
        statistics = self.passes.accumulate(self.family.density(parameters))
        return statistics.log_likelihood / self.passes.total_weight, self.family.maximise(statistics, parameters)

    def run(self, **options):
        """Return the bounds of a run by fastgmm's own loop."""
        return run_em(self.passes.rows, Plain(), self.family, self.start, **options).lower_bounds

    def attempt(self, make):
        """Return the same for a proposal; minus infinity and None where it has no M-step."""
        try:
            return self.step(make())
        except (ComponentCollapseError, np.linalg.LinAlgError, FloatingPointError):
            return -np.inf, None


class _Progress:
    def __init__(self, max_passes):
        self.bounds, self.max_passes = [], max_passes

    def add(self, bound):
        """Take note of a pass; return whether it is the best so far."""
        best = self.bounds[-1] if self.bounds else -np.inf
        self.bounds.append(max(best, bound) if np.isfinite(bound) else best)
        return bound >= best

    def goes_on(self):
        still = len(self.bounds) > N_STILL and self.bounds[-1] - self.bounds[-N_STILL - 1] < STILL * N_STILL
        return len(self.bounds) < self.max_passes and not still


def _plain_passes(fit, progress):
    state = fit.start
    for _ in range(N_PLAIN):
        bound, following = fit.step(state)
        progress.add(bound)
        previous, state = state, following
    return previous, state


def plain(fit, max_passes=60_000):
    """Plain EM."""
    return fit.run(tol=1e-13, max_iter=max_passes)


def quasi_newton(fit, max_passes=60_000):
    """Run fastgmm's own."""
    return fit.run(tol=1e-11, max_iter=max_passes, accelerator=QuasiNewton(fit.family, 1e-11))


def _begin(fit, max_passes):
    progress = _Progress(max_passes)
    reference, state = _plain_passes(fit, progress)
    coordinates = fit.family.coordinates(reference)
    weigh = np.sqrt(np.maximum(_metric(coordinates, reference), 1e-300))
    return progress, state, coordinates, weigh


def _metric(coordinates, reference):
    # At its own reference the information is diagonal.
    return coordinates.information(reference).apply(np.ones_like(coordinates.encode(reference)))


def _two_steps(fit, progress, coordinates, state):
    """Return the coordinates of a state and of the two that plain EM makes next, and the last of these."""
    points = [coordinates.encode(state)]
    for _ in range(2):
        bound, state = fit.step(state)
        progress.add(bound)
        points.append(coordinates.encode(state))
    return points, state


def squarem(fit, max_passes=20_000):
    """Varadhan and Roland (2008), SqS3."""
    progress, state, coordinates, weigh = _begin(fit, max_passes)
    while progress.goes_on():
        points, state = _two_steps(fit, progress, coordinates, state)
        first, second = points[1] - points[0], points[2] - 2.0 * points[1] + points[0]
        length = max(1.0, np.linalg.norm(weigh * first) / max(np.linalg.norm(weigh * second), 1e-300))
        proposed = points[0] + 2.0 * length * first + length**2 * second
        bound, following = fit.attempt(lambda values=proposed: coordinates.decode(values))
        if progress.add(bound):
            state = following
    return progress.bounds


def parabolic(fit, max_passes=20_000):
    """Berlinet and Roland (2009): a geometric search along the parabola through three EM iterates."""
    progress, state, coordinates, _ = _begin(fit, max_passes)
    while progress.goes_on():
        points, state = _two_steps(fit, progress, coordinates, state)
        reach = 1.5
        while progress.goes_on():
            t = 1.0 + reach
            proposed = (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]
            bound, following = fit.attempt(lambda values=proposed: coordinates.decode(values))
            if not progress.add(bound):
                break
            state, reach = following, 1.5 * reach
    return progress.bounds


def anderson(fit, max_passes=20_000, memory=10):
    """Anderson's method with least squares in the metric; begins anew after a failure (DAAREM without damping)."""
    progress, state, coordinates, weigh = _begin(fit, max_passes)
    values, history = coordinates.encode(state), []
    make, proposed = (lambda: state), values
    plain_step = state
    while progress.goes_on():
        bound, following = fit.attempt(make)
        if not progress.add(bound):
            history = history[-1:]
            state, proposed = plain_step, history[-1][1] if history else values
            make = lambda mixture=state: mixture  # noqa: E731
            continue
        plain_step, image = following, coordinates.encode(following)
        history = [*history, (image - proposed, image)][-memory - 1 :]
        mixed = image
        if len(history) > 1:
            residual, image = history[-1]
            changes = np.array([residual - r for r, _ in history[:-1]]).T
            images = np.array([image - g for _, g in history[:-1]]).T
            share = np.linalg.lstsq(weigh[:, None] * changes, weigh * residual, rcond=1e-10)[0]
            mixed = image - images @ share
        proposed = mixed
        make = lambda values=mixed: coordinates.decode(values)  # noqa: E731
    return progress.bounds


METHODS = {
    "plain": plain,
    "quasi-Newton": quasi_newton,
    "Anderson(10)": anderson,
    "SQUAREM": squarem,
    "parabolic": parabolic,
}
