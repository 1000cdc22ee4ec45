"""The calls of docs/keeping.md that hand a model to mlflow, skops, ONNX and emlearn, and what comes back.

Run by ci/switch.sh in a venv that has these packages. A model that comes back with other answers ends the script.
"""

import importlib.metadata
import subprocess
import tempfile
from pathlib import Path

import emlearn
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import onnxruntime
import skl2onnx
import skops.io

import fastgmm

PACKAGES = ("mlflow-skinny", "skops", "skl2onnx", "onnxruntime", "emlearn", "scikit-learn", "fastgmm")
#: Reads rows of three numbers, and prints the probabilities of three components that emlearn's header gives.
PROGRAM = """
#include <stdio.h>
#include "mixture.h"
int main(void) {
    float row[3], logs[3], score, shares[3];
    while (scanf("%f %f %f", row, row + 1, row + 2) == 3) {
        if (mixture_predict_proba(row, 3, logs, &score, shares)) return 1;
        printf("%.9g %.9g %.9g\\n", shares[0], shares[1], shares[2]);
    }
    return 0;
}
"""


def in_c(model, X, folder):
    """Return the probabilities that a compiled C program gives."""
    emlearn.convert(model.to_sklearn()).save(file=str(folder / "mixture.h"), name="mixture")
    (folder / "main.c").write_text(PROGRAM)
    command = ["cc", f"-I{emlearn.includedir}", "-I.", "main.c", "-lm", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True)
    text = "\n".join(" ".join(map(repr, row)) for row in X.tolist())
    done = subprocess.run(["./main"], cwd=folder, input=text, capture_output=True, text=True, check=True)
    return np.loadtxt(done.stdout.splitlines())


def check(model, X, folder):
    """Hand the model to each package and compare what comes back."""
    expected = model.predict_proba(X)

    def same(name, other):
        assert np.array_equal(other.predict_proba(X), expected), name
        print(f"{type(model).__name__}, {name}: the same bits")

    mlflow.sklearn.save_model(model, folder / "ours", serialization_format="cloudpickle")
    same("mlflow, our class", mlflow.sklearn.load_model(folder / "ours"))
    labels = mlflow.pyfunc.load_model(folder / "ours").predict(X)
    assert np.array_equal(labels, model.predict(X)), "mlflow.pyfunc"
    mlflow.sklearn.save_model(model.to_sklearn(), folder / "theirs")
    same("mlflow, scikit-learn's class", fastgmm.from_sklearn(mlflow.sklearn.load_model(folder / "theirs")))
    skops.io.dump(model.to_sklearn(), folder / "m.skops")
    same("skops, scikit-learn's class", fastgmm.from_sklearn(skops.io.load(folder / "m.skops")))
    skops.io.dump(model, folder / "ours.skops")
    trusted = [f"{type(model).__module__}.{type(model).__name__}"]
    same("skops, our class", skops.io.load(folder / "ours.skops", trusted=trusted))

    graph = skl2onnx.to_onnx(model.to_sklearn(), X[:1], options={"score_samples": True})
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    apart = np.abs(session.run(["probabilities"], {"X": X})[0] - expected).max()
    assert apart < 1e-13, apart
    print(f"{type(model).__name__}, ONNX: probabilities within {apart:.1g}")


def main():
    """Check a Gaussian and a Bayesian mixture."""
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
    X = np.random.default_rng(0).normal(size=(400, 3))
    X[::2] += 4.0
    for make in (fastgmm.GaussianMixture, fastgmm.BayesianGaussianMixture):
        model = make(n_components=3, random_state=0).fit(X)
        with tempfile.TemporaryDirectory() as folder:
            check(model, X, Path(folder))
            if make is fastgmm.GaussianMixture:
                apart = np.abs(in_c(model, X, Path(folder)) - model.predict_proba(X)).max()
                assert apart < 1e-5, apart
                print(f"{make.__name__}, emlearn: probabilities of a C program within {apart:.1g}")


if __name__ == "__main__":
    main()
