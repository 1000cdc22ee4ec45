"""
Choosing the number of components
=================================

Fisher measured 150 irises of three species. Without the species: how many groups do the measurements show? Different
questions have different answers, and it is better to know which question one asks.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from fastgmm import GaussianMixture, GaussianMixtureSearch
from fastgmm.plotting import plot_criteria
from fastgmm.selection import bootstrap_lrt, merge_components

X, species = load_iris(return_X_y=True)

# %%
# **Which model is the most probable?** BIC, over one to nine components and mclust's
# fourteen families. Lower is better; a difference below two is a tie.

search = GaussianMixtureSearch(random_state=0).fit(X)
table = pd.DataFrame(search.results_).sort_values("bic")
print(
    table[["n_components", "covariance_type", "bic", "icl"]]
    .head(4)
    .round(1)
    .to_string(index=False)
)
for tie in search.near_ties_:
    print(f"within two of the best: {tie['n_components']} x {tie['covariance_type']}")

fig, ax = plt.subplots(figsize=(8, 4.8))
plot_criteria(search, ncols=4, ax=ax)

# %%
# **How many clusters can be told apart?** ICL adds the entropy of the memberships: two
# components that overlap count as one. **Which density predicts best?** Cross-validation
# asks for the log density of irises left out.

icl = table.sort_values("icl").iloc[0]
held_out = GaussianMixtureSearch(
    range(1, 6), ["VEV", "VVV", "EEE"], criterion="cv_log_likelihood", random_state=0
)
held_out.fit(X)
print(f"ICL: {icl['n_components']} x {icl['covariance_type']}")
print(
    f"cross-validation: {held_out.best_params_['n_components']} x {held_out.best_params_['covariance_type']}"
)

# %%
# **Can fewer be excluded?** The bootstrap of the likelihood ratio draws irises from the
# smaller model and looks how often the larger one gains as much as it did on the data.

test = bootstrap_lrt(X, "VEV", n_bootstrap=99, random_state=0)
for g, p in zip(test.n_components, test.p_values, strict=True):
    print(f"{g} against {g + 1}: p = {p:.2f}")
print("chosen:", test.chosen_n_components)

fig, axes = plt.subplots(1, len(test.n_components), figsize=(10, 2.8))
for ax, g, statistic, drawn in zip(
    axes, test.n_components, test.statistics, test.replicates, strict=True
):
    ax.hist(
        drawn[np.isfinite(drawn)], bins=20, color="0.7", label="if the smaller were true"
    )
    ax.axvline(statistic, color="#d55e00", lw=2, label="irises")
    ax.set(
        title=f"{g} against {g + 1} components",
        xlabel="likelihood ratio statistic",
        yticks=[],
    )
axes[0].legend(fontsize=8, loc="upper center")

# %%
# **Are components clusters?** Not if a cluster is not Gaussian. Merging joins the
# components that overlap most, one pair at a time; where the entropy stops falling steeply,
# they were apart.

model = GaussianMixture(
    3, covariance_type="VEV", init_params="hc", tol=1e-6, max_iter=1000
).fit(X)
merged = merge_components(model, X)
for n in (3, 2, 1):
    print(
        f"{n} clusters: entropy {merged.entropies[n - 1]:.2f} nats, components {merged.cluster_of_component(n)}"
    )
for n in (3, 2):
    agreement = adjusted_rand_score(species, merged.labels(n))
    print(f"{n} clusters against the three species: adjusted Rand index {agreement:.2f}")

# %%
# **What to conclude.** One species is apart and two overlap. So "two groups that can be
# told apart" (BIC by a hair, ICL clearly) and "three components" (bootstrap,
# cross-validation, and the botanists) are both true. When criteria disagree, the data are
# telling you that components overlap: choose by what the answer is for. For a density or a
# classifier take the larger number; for a report in which every group gets a name, the
# smaller.
