"""
Which features tell of clusters
===============================

Thirteen measurements of 178 wines from three growers. Which of them show that there are different wines, which only
follow from others, and which are noise? Nobody tells the selector who grew what.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score

from fastgmm import GaussianMixtureFeatureSelector, GaussianMixtureSearch
from fastgmm.exceptions import SelectionWarning
from fastgmm.plotting.palette import COLOURS

data = load_wine(as_frame=True)
X, grower = data.data, data.target

# %%
# **All features.** A search over one to five components and five structures. It warns that
# thirteen features are many for 178 rows, which is why features are to be selected.

warnings.simplefilter("ignore", SelectionWarning)
search = GaussianMixtureSearch(range(1, 6), ["EEI", "VVI", "EEE", "VEV", "VVV"])
everything = search.fit(X)
print(everything.best_params_)
agreement = adjusted_rand_score(grower, everything.predict(X))
print(f"agreement with the growers, adjusted Rand index: {agreement:.2f}")

# %%
# **Step by step.** A feature goes in if the mixture with it has a lower BIC than the mixture
# without it and a regression of the feature on those in; `bic_difference` is how much
# lower. Headlong takes the first feature that will do.

selector = GaussianMixtureFeatureSelector(search, method="headlong").fit(X)
steps = pd.DataFrame(selector.steps_)
columns = [
    "step",
    "feature",
    "covariance_type",
    "n_components",
    "bic_difference",
    "accepted",
]
print(steps[columns].round(1).to_string(index=False))

# %%
# **The features selected.** The search is repeated on them, with one component among the
# sizes: features without clusters would end there.

chosen = selector.get_feature_names_out()
print(", ".join(chosen))
print(selector.search_.best_params_)
labels = selector.search_.predict(X[chosen])
print(f"agreement with the growers: {adjusted_rand_score(grower, labels):.2f}")

fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
gains = steps[(steps["step"] == "add") & steps["accepted"]]
axes[0].barh(gains["feature"][::-1], gains["bic_difference"][::-1])
axes[0].set(title="features that went in", xlabel="BIC difference in nats")
palette = np.array(COLOURS)
for ax, colour, title in zip(
    axes[1:], (labels, grower), ("clusters found", "growers"), strict=True
):
    ax.scatter(X["flavanoids"], X["color_intensity"], s=12, c=palette[np.asarray(colour)])
    ax.set(title=title, xlabel="flavanoids", ylabel="colour intensity")

# %%
# **What to conclude.** Half of the measurements are enough, and the clusters agree with the
# growers a little better than those of all thirteen. The number of components is larger
# than three since a wine's measurements are skewed; where a cluster may take several
# components, merge them (`GaussianMixtureClusterer`).
