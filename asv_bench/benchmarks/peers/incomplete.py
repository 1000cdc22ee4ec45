"""EM for rows with missing values in vectorised NumPy, as one would write it: what the compiled passes are set beside.

Every row has its own pattern of missing values. A missing feature has a row and a column of the unit matrix, so that
NumPy factorises a stack of matrices of one size.
"""

import numpy as np

#: Rows whose matrices are in hand.
BLOCK_ROWS = 10_000


def em_iteration(X, weights, means, covariances):
    """Return the parameters after one iteration of EM, and the mean log-likelihood before it."""
    k, d = means.shape
    counts, sums, scatter, total = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d)), 0.0
    for start in range(0, len(X), BLOCK_ROWS):
        rows = X[start : start + BLOCK_ROWS]
        seen = ~np.isnan(rows)
        both = seen[:, :, None] & seen[:, None, :]
        inverses, gradients, joint = [], [], []
        for j in range(k):
            matrices = np.where(both, covariances[j], np.eye(d))
            away = np.where(seen, rows - means[j], 0.0)
            inverses.append(np.linalg.inv(matrices) * both)
            gradients.append(np.einsum("nde,ne->nd", inverses[j], away))
            distance, log_det = np.einsum("nd,nd->n", gradients[j], away), np.linalg.slogdet(matrices)[1]
            joint.append(np.log(weights[j]) - 0.5 * (distance + log_det + seen.sum(axis=1) * np.log(2 * np.pi)))
        density = np.logaddexp.reduce(joint, axis=0)
        total += density.sum()
        for j in range(k):
            share, expected = np.exp(joint[j] - density), gradients[j] @ covariances[j]
            counts[j] += share.sum()
            sums[j] += share @ expected
            weighed = np.tensordot(share, inverses[j], axes=1)
            scatter[j] += (share[:, None] * expected).T @ expected
            scatter[j] += share.sum() * covariances[j] - covariances[j] @ weighed @ covariances[j]
    shift = sums / counts[:, None]
    covariances = scatter / counts[:, None, None] - shift[:, :, None] * shift[:, None, :]
    return counts / counts.sum(), means + shift, covariances, total / len(X)
