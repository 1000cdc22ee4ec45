"""Factor analysers: loadings and noise variances that raise the likelihood, given each component's scatter.

With ``Sigma_k = A_k A_k^T + diag(psi_k)`` the factors of a row given the row have the mean ``(x - mean) C_k`` and the
covariance ``V_k``, where ``V_k^-1 = I + A_k^T diag(1 / psi_k) A_k`` and ``C_k = diag(1 / psi_k) A_k V_k``. A step
regresses the rows on their factors. Of the scatter per row ``S_k`` it needs ``S_k C_k`` and the diagonal::

    T_k = V_k + C_k^T S_k C_k;   A_k = S_k C_k T_k^-1;   residual_k = diag(S_k - 2 S_k C_k A_k^T + A_k T_k A_k^T)

and the step of PX-EM goes on to take T for the covariance of the factors, which the model knows to be one: loadings
are multiplied by its Cholesky factor, and fewer steps are needed. The noise is then estimated of the residuals as one
of mclust's axis-aligned families is of scatter, which makes six kinds of noise; loadings that the components share
solve one weighted regression for each feature. These are the twelve models of pgmm, whose letters say whether
loadings, noise and its isotropy are constrained. No step lowers the likelihood. Where all is free, each component is a
factor analysis of its own, and Newton's method needs fewer steps: see `factor_profile`.

References
----------
Ghahramani and Hinton (1996), The EM algorithm for mixtures of factor analyzers. McLachlan and Peel (2000), Finite
Mixture Models, chapter 8. Liu, Rubin and Wu (1998), Parameter expansion to accelerate EM: the PX-EM algorithm,
Biometrika 85, section 5. McNicholas and Murphy (2008), Parsimonious Gaussian mixture models, Statistics and Computing
18; (2010), Model-based clustering of microarray expression data, Bioinformatics 26: the last four models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.families import closed_form, volume_families
from fastgmm.families.factor_profile import improve_noise
from fastgmm.families.principal_subspaces import most_factors, per_component, spectra
from fastgmm.model.shapes.base import collapse_error
from fastgmm.model.shapes.low_rank import canonical, numbers_of_factors, packed, unpacked

__all__ = ["NOISE", "FactorAnalysers", "factor_posterior"]

#: Regressions in an M-step, and in the first one, which starts from principal axes; and steps of Newton's method.
STEPS, FIRST_STEPS = 3, 30
NEWTON_STEPS, FIRST_NEWTON_STEPS = 2, 15
#: A noise variance is at least this share of the feature's variance in the component, or as small as it already was.
LEAST_SHARE = 1e-6
#: Numbers of factors in a row that must be worse before the choice of one ends.
WORSE_IN_A_ROW = 2

#: The axis-aligned family that noise is of, by its name in mclust: ``estimate(residuals, counts)``.
NOISE: dict[str, Callable[..., np.ndarray]] = {
    "VVI": closed_form.separate,
    "EEI": closed_form.eei,
    "VEI": volume_families.vei,
    "EVI": closed_form.evi,
    "VII": lambda residuals, counts: _isotropic(closed_form.separate, residuals, counts),
    "EII": lambda residuals, counts: _isotropic(closed_form.eii, residuals, counts),
}


def _isotropic(estimate, residuals, counts):
    n_features = residuals.shape[1]
    return np.repeat(estimate(residuals.sum(axis=1) / n_features, counts)[:, None], n_features, axis=1)


@dataclass(frozen=True)
class FactorAnalysers:
    """The estimate of a family of factor analysers.

    Attributes
    ----------
    noise : str
        A key of `NOISE`.
    shares_loadings : bool
        Whether the components have the same loadings.
    n_factors : int, sequence of int or 'bic'
        For all components or for each. 'bic' chooses for each component, of its first memberships.
    """

    noise: str = "VVI"
    shares_loadings: bool = False
    n_factors: Any = 1

    def __call__(self, scatter: np.ndarray, counts: np.ndarray, previous: Any = None) -> np.ndarray:
        """Return loadings and noise as `LowRank` stores them, given scatter (n_components, n_features, n_features)."""
        per_row = scatter / counts[:, None, None]
        variances, is_first = np.einsum("kdd->kd", per_row), previous is None
        if not variances.min() > 0:
            raise collapse_error(_first_constant(variances), counts, variances.shape[1], "a feature is constant in it")
        loadings, noise = self._first(per_row, counts) if is_first else unpacked(previous.covariances)
        if self.noise == "VVI" and not self.shares_loadings:
            numbers = numbers_of_factors(loadings)
            if not is_first and not isinstance(self.n_factors, str):
                numbers = per_component(self.n_factors, len(counts))
            floor = np.minimum(LEAST_SHARE * variances, noise)
            loadings, noise = np.zeros((*noise.shape, int(numbers.max(initial=0)))), noise.copy()
            for k, q in enumerate(numbers):
                found = _analysed(per_row[k], noise[k], int(q), floor[k], is_first)
                loadings[k, :, :q], noise[k] = found[:2]
            return packed(self.turned(loadings, noise), noise)
        for _ in range(FIRST_STEPS if is_first else STEPS):
            factors, spread = factor_posterior(loadings, noise)
            loadings, noise = self.step(per_row @ factors, variances, factors, spread, noise, counts)
        return packed(self.turned(loadings, noise), noise)

    def turned(self, loadings: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return the loadings in their canonical rotation, which is one for all where these are shared."""
        if not self.shares_loadings:
            return canonical(loadings, noise)[0]
        turned = canonical(loadings[:1], 1.0 / (1.0 / noise).mean(axis=0, keepdims=True))[0]
        return np.repeat(turned, len(noise), axis=0)

    def step(
        self,
        sketch: np.ndarray,
        variances: np.ndarray,
        factors: np.ndarray,
        spread: np.ndarray,
        noise: np.ndarray,
        counts: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return loadings and noise after one regression of the rows on their factors; see `regress`."""
        loadings, residuals = self.regress(sketch, variances, factors, spread, noise, counts)
        return loadings, self.noise_of(residuals, counts)

    def regress(
        self,
        sketch: np.ndarray,
        variances: np.ndarray,
        factors: np.ndarray,
        spread: np.ndarray,
        noise: np.ndarray,
        counts: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return loadings, and the variances that they leave, (n_components, n_features).

        Parameters
        ----------
        sketch : ndarray of shape (n_components, n_features, n_factors)
            ``S_k C_k``.
        variances : ndarray of shape (n_components, n_features)
            The diagonal of ``S_k``.
        factors, spread : ndarray
            ``C_k`` and ``V_k``, see `factor_posterior`.
        noise : ndarray of shape (n_components, n_features)
            Before the step.
        counts : ndarray of shape (n_components,)
        """
        second = spread + factors.transpose(0, 2, 1) @ sketch
        second = 0.5 * (second + second.transpose(0, 2, 1))
        if self.shares_loadings:
            weight = counts[:, None] / noise
            left = np.einsum("kd,kpq->dpq", weight, second)
            right = np.einsum("kd,kdq->dq", weight, sketch)
            shared = np.linalg.solve(left, right[..., None])[..., 0]
            loadings = np.broadcast_to(shared, sketch.shape)
            residuals = variances + np.einsum("kdq,kdq->kd", loadings @ second - 2.0 * sketch, loadings)
            loadings = loadings @ np.linalg.cholesky(np.einsum("k,kpq->pq", counts / counts.sum(), second))
        else:
            # With T = L L^T, the loadings S C T^-1 times L.
            loadings = sketch @ np.linalg.inv(np.linalg.cholesky(second)).transpose(0, 2, 1)
            residuals = variances - np.einsum("kdq,kdq->kd", loadings, loadings)
        residuals = np.maximum(residuals, np.minimum(LEAST_SHARE * variances, noise))
        if not residuals.min() > 0:
            raise collapse_error(_first_constant(residuals), counts, variances.shape[1], "a feature is constant in it")
        return loadings, residuals

    def noise_of(self, residuals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the noise variances, given those that are left of each component and feature."""
        return NOISE[self.noise](residuals * counts[:, None], counts)

    # The start.

    def _first(self, per_row, counts):
        """Return loadings and noise from the principal axes of the correlations."""
        of_start = np.einsum("k,kij->ij", counts / counts.sum(), per_row)[None] if self.shares_loadings else per_row
        unit = np.sqrt(np.maximum(np.einsum("kdd->kd", of_start), np.finfo(np.float64).tiny))
        values, axes = spectra(of_start / unit[:, :, None] / unit[:, None, :])
        if isinstance(self.n_factors, str):
            chosen = self._chosen(per_row, counts, values, axes, unit)
        else:
            chosen = per_component(self.n_factors, len(values))
        loadings = _principal(values, axes, unit, chosen)
        noise = np.einsum("kdd->kd", per_row) - (loadings**2).sum(axis=2)
        noise = np.maximum(noise, LEAST_SHARE * np.einsum("kdd->kd", per_row))
        if not noise.min() > 0:
            raise collapse_error(_first_constant(noise), counts, per_row.shape[1], "a feature is constant in it")
        return np.broadcast_to(loadings, (len(counts), *loadings.shape[1:])), self.noise_of(noise, counts)

    def _chosen(self, per_row, counts, values, axes, unit):
        """Return the number of factors of each component that has the lowest BIC, by itself."""
        total, n_features = counts.sum(), per_row.shape[1]
        if self.shares_loadings:
            per_row, counts = np.einsum("k,kij->ij", counts / total, per_row)[None], counts.sum(keepdims=True)
        chosen = np.zeros(len(counts), dtype=np.int64)
        for k in range(len(counts)):
            variances, best, n_worse = np.diagonal(per_row[k]), np.inf, 0
            for q in range(most_factors(n_features, counts[k]) + 1):
                start = _principal(values[k : k + 1], axes[k : k + 1], unit[k : k + 1], np.array([q]))[0]
                floor = LEAST_SHARE * variances
                noise = np.maximum(variances - (start**2).sum(axis=1), floor)
                deviance = _analysed(per_row[k], noise, q, floor, is_first=True)[2]
                bic = counts[k] * deviance + (n_features * q - q * (q - 1) // 2) * np.log(total)
                n_worse = 0 if bic < best else n_worse + 1
                if bic < best:
                    best, chosen[k] = bic, q
                if n_worse == WORSE_IN_A_ROW:
                    break
        return chosen


def _first_constant(variances):
    return int(np.argmin(variances.min(axis=1) > 0))


def _analysed(per_row, noise, n_factors, floor, is_first):
    """Return loadings, noise and deviance of one component; the better of two starts where there is none yet."""
    if not is_first:
        return improve_noise(per_row, noise, n_factors, floor, NEWTON_STEPS)
    starts, diagonal = [noise], np.diagonal(per_row)
    unit = np.sqrt(diagonal)
    values, axes = np.linalg.eigh(per_row / unit[:, None] / unit)
    if values[0] > len(unit) * np.finfo(np.float64).eps * values[-1]:
        # Joreskog's, from the variance of each feature given all others.
        alone = diagonal / (axes**2 / values).sum(axis=1)
        starts.append(np.maximum((1.0 - 0.5 * n_factors / len(unit)) * alone, floor))
    found = [improve_noise(per_row, start, n_factors, floor, FIRST_NEWTON_STEPS) for start in starts]
    return min(found, key=lambda outcome: outcome[2])


def factor_posterior(loadings: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``C_k`` (n_components, n_features, n_factors) and ``V_k`` (n_components, n_factors, n_factors).

    The factors of a row x given the row are normal about ``(x - mean) C_k`` with the covariance ``V_k``.
    """
    scaled = loadings / noise[..., None]
    precision = np.swapaxes(loadings, -1, -2) @ scaled
    precision[..., np.arange(loadings.shape[-1]), np.arange(loadings.shape[-1])] += 1.0
    spread = np.linalg.inv(precision)
    return scaled @ spread, spread


def _principal(values, axes, unit, chosen):
    """Return loadings along the first principal axes, of `chosen` numbers of factors, in the units of the features."""
    n_features, q = values.shape[1], int(chosen.max(initial=0))
    rest = np.arange(n_features) >= chosen[:, None]
    noise = (values * rest).sum(axis=1) / np.maximum(n_features - chosen, 1)
    length = np.sqrt(np.maximum(values[:, :q] - noise[:, None], 0.0)) * ~rest[:, :q]
    return unit[:, :, None] * axes[:, :, :q] * length[:, None, :]
