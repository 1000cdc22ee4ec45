"""
Customer segmentation
=====================

CDNOW sold music on line in the 1990s. Of 2357 people who first bought there early in 1997, 946 came back within the 39
weeks on file. What kinds of returning customers are there, and which of them should get a letter?

The data come with the package `lifetimes`, as four numbers for each customer: repeat purchases, week of the last one,
weeks on file and mean spending of a repeat purchase.
"""

# %%
# Three questions describe a customer: how often, how long ago, for how much? The first and
# the last are times and amounts that vary by factors, so their logarithm is modelled; all
# three are standardised, so that none counts more because of its unit.

# sphinx_gallery_thumbnail_number = 2
from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from fastgmm import GaussianMixtureSearch
from fastgmm.plotting import plot_criteria, plot_pairs

folder = distribution("lifetimes").locate_file("lifetimes/datasets")
customers = pd.read_csv(folder / "cdnow_customers_summary_with_transactions.csv")
customers = customers[customers["x"] > 0].reset_index(drop=True)
customers = pd.DataFrame(
    {
        "purchases": customers["x"],
        "weeks between": customers["t_x"] / customers["x"],
        "weeks silent": customers["T"] - customers["t_x"],
        "dollars each": customers["zbar"],
    }
)
features = customers[["weeks between", "weeks silent", "dollars each"]].copy()
features[["weeks between", "dollars each"]] = np.log(
    features[["weeks between", "dollars each"]]
)
scaler = StandardScaler().fit(features)
Z = scaler.transform(features)

# %%
# How many segments, and of which shape? The search fits one to eight components with each
# of mclust's fourteen covariance families, 112 candidates, and keeps the one of lowest BIC.

search = GaussianMixtureSearch(n_components=range(1, 9), random_state=0).fit(Z)
columns = ["n_components", "covariance_type", "bic", "icl"]
table = pd.DataFrame(search.results_)[columns].sort_values("bic")
print(table.head(5).round(1).to_string(index=False))
icl = table.sort_values("icl").iloc[0]
print(f"lowest ICL: {icl['n_components']} x {icl['covariance_type']}")

fig, ax = plt.subplots(figsize=(7, 4.5))
plot_criteria(search, ax=ax)

# %%
# What the segments are, in the customers' own units (medians), sorted by what they spent:

model = search.best_estimator_
segment = model.predict(Z)
spent = customers["purchases"] * customers["dollars each"]
profile = customers.groupby(segment).median()
profile.index.name = "segment"
profile.insert(0, "customers", np.bincount(segment))
profile["share of sales"] = spent.groupby(segment).sum() / spent.sum()
profile["certain"] = pd.Series(model.predict_proba(Z).max(axis=1)).groupby(segment).mean()
print(profile.sort_values("share of sales", ascending=False).round(2).to_string())

fig, axes = plt.subplots(3, 3, figsize=(9, 8.5))
plot_pairs(
    model, Z, names=["log weeks between", "weeks silent", "log dollars each"], ax=axes
)
fig.suptitle("Standardised; ellipses hold 50% and 95% of a segment")

# %%
# **What to conclude**, from the top of the table down:
#
# - Segment 2, three customers in ten, buys now and then for much and has been silent for some
#   four months: the largest share of sales, so remind them.
# - Segment 0 buys often and did so five weeks ago: nothing to do.
# - Segment 3, fewer than a tenth of the customers, bought last week and brings over a fifth
#   of the sales: keep it, no discount needed.
# - Segment 5 came back at once, and not again for thirty weeks. It spent nearly as much per
#   purchase as the best: these are the ones to write to.
# - Segment 4 came back once, late and lately: too early to tell.
# - Segment 1 bought a single cheap record each; a letter costs more than it would return.
#
# The column "certain" is the mean probability of the most probable segment, and ICL, which
# punishes overlap, prefers fewer segments: these are regions of a continuum rather than
# species. So rank customers by ``predict_proba`` instead of treating everyone in a segment
# alike, and do not read much into a border between two of them.
