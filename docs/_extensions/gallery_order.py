"""The order of the gallery: what most come for first."""

ORDER = (
    "customer_segments",
    "choosing_k",
    "image_segmentation",
    "cluster_shapes",
    "feature_selection",
    "many_fits",
    "digits_views",
    "inpainting",
    "anomalies",
    "semi_supervised",
    "density_and_sampling",
    "modes",
    "regression",
    "missing_values",
    "tully_fisher",
    "market_regimes",
    "drift",
    "speakers",
    "image_encoders",
    "bayesian",
    "bayesian_auto",
)


def by_use(name):
    """Return the place of an example, by its file's name; unlisted ones come last."""
    stem = name.removeprefix("plot_").removesuffix(".py")
    return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)
