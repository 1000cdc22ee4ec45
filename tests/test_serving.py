"""Models elsewhere: behind HTTP, and in ONNX."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.datasets import load_faithful

APP = Path(__file__).parents[1] / "docs" / "serving_app.py"


@pytest.fixture(scope="module")
def X():
    return load_faithful()


# The application of docs/serving.md.


@pytest.fixture(scope="module")
def model(X):
    return GaussianMixture(3, random_state=0).fit(X)


@pytest.fixture(scope="module")
def client(model, tmp_path_factory):
    testclient = pytest.importorskip("fastapi.testclient")
    path = tmp_path_factory.mktemp("served") / "model.npz"
    fastgmm.save(model, path)
    spec = importlib.util.spec_from_file_location("serving_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with testclient.TestClient(module.create_app(str(path))) as client:
        yield client


@pytest.mark.parametrize("n_rows", [1, 272, 6000], ids=["one", "small", "in a thread"])
def test_the_service_answers_as_the_model(n_rows, model, X, client):
    rows = np.tile(X, (23, 1))[:n_rows]
    response = client.post("/predict", json={"rows": rows.tolist()})
    assert response.status_code == 200
    answer = response.json()
    assert_array_equal(answer["component"], model.predict(rows))
    # JSON carries the shortest digits that read back the same; rows may be in another tile.
    assert_allclose(answer["probability"], model.predict_proba(rows).max(axis=1), rtol=1e-12)
    assert_allclose(answer["log_density"], model.score_samples(rows), rtol=1e-12)


def test_the_service_takes_rows_as_they_are_in_memory(model, X, client):
    response = client.post("/predict.bin", content=X.astype("<f8").tobytes())
    component, probability, log_density = np.frombuffer(response.content, "<f8").reshape(-1, 3).T
    assert_array_equal(component, model.predict(X))
    assert_array_equal(probability, model.predict_proba(X).max(axis=1))
    assert_array_equal(log_density, model.score_samples(X))
    assert client.post("/predict.bin", content=b"12345678").status_code == 422
    assert client.post("/predict.bin", content=b"").status_code == 422
    assert (
        client.post("/predict.bin", content=np.array([1.0, np.nan]).tobytes()).json()["detail"].startswith("X contains")
    )


def test_the_service_says_what_it_serves(client):
    assert client.get("/health").json() == {"n_components": 3, "n_features": 2}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b'{"rows": []}', b'{"rows": [[1.0]]}', b'{"rows": [[1.0, 2.0], [1.0, 2.0, 3.0]]}'),
        *(b'{"rows": [[1.0, "a"]]}', b'{"rows": [[1.0, NaN]]}', b'{"rows": [[1.0, 1e999]]}', b'{"rows": [1.0, 2.0]}'),
    ],
)
def test_the_service_refuses_what_it_cannot_answer(body, client):
    response = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"]


# ONNX: skl2onnx and onnxruntime are large, so they are not among the packages that the tests install.


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEV", "EEI", "bayesian"])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-9), (np.float32, 1e-3)], ids=["float64", "float32"])
def test_onnx_answers_as_the_model(covariance_type, dtype, rtol, X):
    skl2onnx = pytest.importorskip("skl2onnx", reason="ONNX is tested where it is installed: fastgmm[onnx]")
    onnxruntime = pytest.importorskip("onnxruntime")
    # Standardised: the graph squares values as they are, which costs single precision digits far from the origin.
    rows = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(dtype)
    if covariance_type == "bayesian":
        model = BayesianGaussianMixture(n_components=3, max_iter=1000, random_state=0)
    else:
        model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model.fit(rows.astype(np.float64))
    graph = skl2onnx.to_onnx(model.to_sklearn(), rows[:1], options={"score_samples": True})
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    labels, probabilities, log_density = session.run(None, {"X": rows})
    assert_array_equal(labels.ravel(), model.predict(rows))
    assert_allclose(probabilities, model.predict_proba(rows), atol=rtol)
    assert_allclose(log_density.ravel(), model.score_samples(rows), rtol=rtol, atol=rtol)
