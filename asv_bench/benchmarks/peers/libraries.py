"""EM iterations of the Python libraries, and a process that makes them on request.

Run as ``python libraries.py {fastgmm,scikit-learn,onedal} FOLDER COVARIANCE_TYPE``; answers as the
C++ peers do (see driver.hpp) and needs nothing but NumPy and that library, for oneDAL has an environment of its
own.
"""

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np

# What the runs are timed by: benchmarks/timing.py.
clock = time.process_time if os.environ.get("FASTGMM_BENCHMARK_CLOCK") == "processor" else time.perf_counter


def precisions_of(covariance_type, covariances):
    """Return the inverses, in the same shape."""
    return np.linalg.inv(covariances) if covariance_type in ("full", "tied") else 1.0 / covariances


def precisions_cholesky_of(covariance_type, covariances):
    """Return upper triangular factors of the precisions, or square roots of the diagonal ones."""
    if covariance_type in ("full", "tied"):
        return np.ascontiguousarray(np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), -1, -2))
    return 1.0 / np.sqrt(covariances)


class Fastgmm:
    """The public `fit`, from given parameters; without acceleration, which would make other steps than EM's."""

    def __init__(self, X, covariance_type, weights, means, covariances):
        from fastgmm import GaussianMixture

        self.X = X
        self.start = {
            "covariance_type": covariance_type,
            "weights_init": weights,
            "means_init": means,
            "precisions_init": precisions_of(covariance_type, covariances),
            "tol": 0.0,
            "acceleration": None,
        }
        self.cls = GaussianMixture

    def run(self, n_iterations):
        model = self.cls(len(self.start["means_init"]), max_iter=n_iterations, **self.start)
        start = clock()
        model.fit(self.X)
        seconds = clock() - start
        self.parameters, self.lower_bound = (model.weights_, model.means_, model.covariances_), model.lower_bound_
        return seconds, model.n_iter_


class ScikitLearn:
    """The loop of scikit-learn's `fit`, without its k-means start and its closing E-step."""

    def __init__(self, X, covariance_type, weights, means, covariances):
        from sklearn.mixture import GaussianMixture

        self.X = X
        self.model = GaussianMixture(len(means), covariance_type=covariance_type)
        self.weights, self.means, self.covariances = (part.astype(X.dtype) for part in (weights, means, covariances))

    def run(self, n_iterations):
        from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

        model = self.model
        model.weights_, model.means_, model.covariances_ = self.weights, self.means, self.covariances
        model.precisions_cholesky_ = _compute_precision_cholesky(self.covariances, model.covariance_type)
        start = clock()
        for _ in range(n_iterations):
            _, log_responsibilities = model._e_step(self.X)
            model._m_step(self.X, log_responsibilities)
        seconds = clock() - start
        self.parameters = model.weights_, model.means_, model.covariances_
        return seconds, n_iterations


class OneDal:
    """oneDAL's EM through daal4py; it stops when it likes and reports how many iterations it made."""

    def __init__(self, X, covariance_type, weights, means, covariances):
        import daal4py

        if covariance_type not in ("full", "diag"):
            sys.exit("oneDAL has full and diag only")
        daal4py.daalinit(int(os.environ["OMP_NUM_THREADS"]))
        self.daal4py, self.X, self.full = daal4py, X, covariance_type == "full"
        parts = weights[None, :], means, covariances
        self.weights, self.means, covariances = (part.astype(X.dtype) for part in parts)
        self.covariances = [np.ascontiguousarray(np.atleast_2d(matrix)) for matrix in covariances]

    def run(self, n_iterations):
        algorithm = self.daal4py.em_gmm(
            nComponents=len(self.means),
            fptype="float" if self.X.dtype == np.float32 else "double",
            maxIterations=n_iterations,
            accuracyThreshold=0.0,
            covarianceStorage="full" if self.full else "diagonal",
        )
        start = clock()
        result = algorithm.compute(self.X, self.weights, self.means, self.covariances)
        seconds = clock() - start
        covariances = np.array(result.covariances)
        self.parameters = result.weights[0], result.means, covariances if self.full else covariances[:, 0]
        return seconds, int(np.ravel(result.nIterations)[0])


LIBRARIES = {"fastgmm": Fastgmm, "scikit-learn": ScikitLearn, "onedal": OneDal}


def main():
    """Answer requests until standard input ends."""
    name, folder, covariance_type = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    warnings.simplefilter("ignore")
    X, weights, means, covariances = (
        np.load(folder / f"{part}.npy") for part in ("X", "weights", "means", "covariances")
    )
    library = LIBRARIES[name](X, covariance_type, weights, means, covariances)
    print("ready", flush=True)
    for line in sys.stdin:
        request, n_iterations = line.split()
        seconds, iterations = library.run(int(n_iterations))
        if request == "save":
            for part, value in zip(("weights", "means", "covariances"), library.parameters, strict=True):
                np.save(folder / f"{name}_{part}.npy", np.asarray(value, dtype=np.float64))
        print(f"{seconds:.9g} {iterations}", flush=True)


if __name__ == "__main__":
    main()
