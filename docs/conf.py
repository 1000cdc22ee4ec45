"""Sphinx configuration; `bash ci/docs.sh` builds the pages, runs the gallery and turns every warning into an error."""

import importlib.metadata
import re
import sys
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from sphinx.util import logging

import fastgmm
from fastgmm.plotting.palette import COLOURS

project = "fastgmm"
author = "The fastgmm developers"
copyright = "The fastgmm developers"
version = release = fastgmm.__version__

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

# The pages need no network: neither to be built, nor (no MathJax, no web fonts) to be read.
extensions = [
    "command_output",
    "mathml",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "gallery", "auto_gallery/*.py", "auto_gallery/*.ipynb"]
suppress_warnings = ["config.cache"]  # the gallery's settings hold functions, which cannot be cached

# Markdown.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The reference: one page per class with all its methods, from numpydoc docstrings.
autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"GL01", "GL06", "GL07", "PR02", "PR07", "RT03", "SS01", "SS02", "SS03", "SS04", "SS05"}
numpydoc_validation_exclude = {r"fastgmm\.set_config$"}  # its keywords are named in the text

# Added by scikit-learn to every estimator; metadata routing is its subject, not this package's.
ROUTING = re.compile(r"get_metadata_routing|set_\w+_request|set_output")


# Interfaces for who extends the package: their pages list them side by side.
EXTENSION = re.compile(r"fastgmm\.(model|families|kernels)\.|fastgmm\.data\.[A-Z]")


def ask_for_see_also(app, kind, name, value, options, lines):
    """Warn where a docstring that users read points to nothing else: numpydoc's SA01, but for extenders' interfaces."""
    ours = (getattr(value, "__module__", None) or "").startswith("fastgmm")
    asked = kind in ("class", "exception", "function", "method") and ours and not EXTENSION.match(name)
    if asked and lines and "See Also" not in lines:
        logging.getLogger(__name__).warning("%s has no See Also", name)


def leave_out(app, kind, name, value, skip, options):
    """Leave scikit-learn's routing out of the reference."""
    return True if ROUTING.fullmatch(name) else None


# The gallery: runs at build, one picture or more for each example.
matplotlib.use("agg")


FILTERS = warnings.filters[:]


def plain_pictures(gallery_conf, fname, when):
    """Begin each example with the same picture settings; a warning in it, and in it alone, is an error."""
    plt.rcdefaults()
    cycle = plt.cycler(color=COLOURS)
    plt.rcParams.update({"figure.dpi": 100, "figure.constrained_layout.use": True, "axes.grid": False})
    plt.rcParams["axes.prop_cycle"] = cycle
    warnings.filters[:] = FILTERS
    if when == "before":
        warnings.simplefilter("error")
        # Examples with few rows per parameter regularise on purpose, and say so.
        warnings.filterwarnings("ignore", message="reg_covar is ")


sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "reset_modules": (plain_pictures,),
    "reset_modules_order": "both",
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "min_reported_time": 3600,
    "write_computation_times": False,
    "copyfile_regex": r"",
    "backreferences_dir": "api/generated/examples",
    "doc_module": ("fastgmm",),
    "capture_repr": (),
    "remove_config_comments": True,
    "within_subsection_order": "gallery_order.by_use",
}

# Pictures of code on a page: drawn at build, beside the code.
plot_include_source = True
plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 110)]
plot_rcparams = {"figure.constrained_layout.use": True, "figure.figsize": (7.0, 4.2)}
plot_apply_rcparams = True

# The look.
html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "fastgmm"
html_static_path = ["_static"]
html_css_files = ["fastgmm.css"]
html_favicon = "_static/mark.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "fastgmm", "image_light": "_static/mark.svg", "image_dark": "_static/mark.svg"},
    "show_toc_level": 2,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["project_links", "theme-switcher"],
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": ["project_links"],
}
# Where the source is, once it has an address: [project.urls] in pyproject.toml.
URLS = (line.split(", ", 1) for line in importlib.metadata.metadata("fastgmm").get_all("Project-URL") or ())
html_context = {"repository": {name.lower(): url for name, url in URLS}.get("repository")}
# Pages that stand alone have no section to navigate.
ALONE = ("index", "development")
html_sidebars = {page: [] for page in ALONE}
# Pages whose lists of others make up the sections.
LISTS = ("index", "start", "guide", "design")


def name_the_others(app, docname, source):
    """End the last list of the section on design with the pages that no list names, so that none is lost."""
    if docname == "design":
        folder = Path(app.srcdir)
        lists = "".join((folder / f"{page}.md").read_text() for page in LISTS)
        named = set(re.findall(r"^(?:.*<)?(\w+)>?$", lists, re.MULTILINE))
        pages = {page.stem for page in folder.glob("*.*") if page.suffix in (".md", ".rst")} - {"index"}
        source[0] = source[0].replace("OTHERS", "\n".join(sorted(pages - named)))


def shown_as_text(app, kind, name, value, options, lines):
    """Leave the kernels' contract to their page, which shows it as it stands in the source."""
    if name == "fastgmm.kernels":
        lines.clear()


def setup(app):
    """Connect what autodoc asks before it shows a member or a docstring."""
    app.connect("source-read", name_the_others)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", ask_for_see_also, priority=100)
    app.connect("autodoc-process-docstring", shown_as_text, priority=900)
