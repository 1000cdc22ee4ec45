"""A mixture behind HTTP: ``FASTGMM_MODEL=model.npz uvicorn serving_app:app``.

The model is read once. Its scorer is frozen and safe for threads, and a row takes it a few microseconds, so small
requests are answered where they arrive; handing them to a thread would cost more than the answer. Large ones go to a
thread: kernels release the interpreter's lock, so that others are answered meanwhile.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

import fastgmm

#: Values in a request, rows times features, up to which it is answered at once; and beyond which it is refused.
SMALL, LARGEST = 10_000, 10_000_000


class Rows(BaseModel):
    """A request: rows of finite numbers, all of the model's features in their order."""

    rows: Annotated[list[list[float]], Field(min_length=1)]


class Answer(BaseModel):
    """For each row: its component, the probability of that, and the log density in nats."""

    component: list[int]
    probability: list[float]
    log_density: list[float]


def create_app(path: str) -> FastAPI:
    """Return the application that serves the model in a file."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # float64 whatever the model was fitted in: JSON has no smaller numbers to save.
        app.state.scorer = fastgmm.load(path).scorer(dtype="float64")
        yield

    app = FastAPI(title="fastgmm", lifespan=lifespan)

    @app.get("/health")
    async def health(request: Request) -> dict[str, int]:
        scorer = request.app.state.scorer
        return {"n_components": scorer.n_components, "n_features": scorer.n_features}

    @app.post("/predict")
    async def predict(request: Request, given: Rows) -> Answer:
        scorer = request.app.state.scorer
        widths = {len(row) for row in given.rows}
        if widths != {scorer.n_features}:
            raise HTTPException(422, f"rows have {sorted(widths)} values; expected {scorer.n_features} in each")
        component, probability, log_density = await columns(scorer, np.array(given.rows, dtype=np.float64))
        return Answer(component=component.tolist(), probability=probability.tolist(), log_density=log_density.tolist())

    @app.post("/predict.bin")
    async def predict_binary(request: Request) -> Response:
        """Take rows of little-endian float64, one after the other, and give columns of the same: three per row."""
        scorer = request.app.state.scorer
        body = await request.body()
        if not body or len(body) % (8 * scorer.n_features):
            raise HTTPException(422, f"the body has {len(body)} bytes; expected rows of {8 * scorer.n_features}")
        X = np.frombuffer(body, dtype="<f8").astype(np.float64, copy=False).reshape(-1, scorer.n_features)
        table = np.column_stack(await columns(scorer, X)).astype("<f8", copy=False)
        return Response(table.tobytes(), media_type="application/octet-stream")

    return app


async def columns(scorer: fastgmm.inference.Scorer, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return component, its probability and log density of each row."""
    if X.size > LARGEST:
        raise HTTPException(413, f"rows have {X.size} values in all; expected at most {LARGEST}: send fewer")
    try:
        return predictions(scorer, X) if X.size <= SMALL else await run_in_threadpool(predictions, scorer, X)
    except ValueError as error:  # NaN or infinity, and in which row
        raise HTTPException(422, str(error)) from None


def predictions(scorer: fastgmm.inference.Scorer, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same, without asking whether it takes long."""
    probabilities = scorer.predict_proba(X)
    return probabilities.argmax(axis=1), probabilities.max(axis=1), scorer.score_samples(X)


app = create_app(os.environ.get("FASTGMM_MODEL", "model.npz"))
