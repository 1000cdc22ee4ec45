# The service of docs/serving.md: docker build -f docs/serving.Dockerfile -t mixture . in a checkout, then
# docker run -p 8000:8000 -v "$PWD/model.npz:/model.npz:ro" mixture
FROM python:3.13-slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip wheel --no-cache-dir --wheel-dir /wheels /source

FROM python:3.13-slim
# The wheel was built here and not repaired: it takes the system's OpenMP.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels fastgmm \
    && pip install --no-cache-dir "fastapi>=0.110" "uvicorn>=0.30" \
    && rm -rf /wheels
COPY docs/serving_app.py /app/serving_app.py
WORKDIR /app
USER 65534
# One process with a thread for each large request: a scorer is shared by all of them.
ENV FASTGMM_MODEL=/model.npz OMP_NUM_THREADS=1
EXPOSE 8000
CMD ["uvicorn", "serving_app:app", "--host", "0.0.0.0", "--port", "8000"]
