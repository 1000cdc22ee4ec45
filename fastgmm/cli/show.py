"""``fastgmm show``: what a model file holds."""

from __future__ import annotations

import argparse

from sklearn.base import is_classifier, is_regressor

from fastgmm.cli.errors import EXIT_OK
from fastgmm.cli.parameters import as_json, describe
from fastgmm.cli.screen import Screen
from fastgmm.cli.stored import load_model, open_model
from fastgmm.summary import facts_of

__all__ = ["run"]


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Run the command and return the exit status."""
    model, _ = load_model(arguments.model)
    if is_classifier(model) or is_regressor(model):
        text = model.summary()
        screen.lines(f"{arguments.model}: {text}")
        screen.json({"summary": text.splitlines()})
        return EXIT_OK
    stored = open_model(arguments.model)
    training = stored.training
    title, facts = facts_of(stored.model)
    screen.line(f"{arguments.model}: {title}")
    if training:
        how = " of standardised columns" if training.get("standardized") else ""
        if stored.projection is not None:
            how = f" of {len(stored.names)} principal components{how}"
        screen.line(
            f"fitted to {training.get('n_samples')} rows{how} of {training.get('source')}: "
            f"{', '.join(map(str, training.get('columns', [])))}"
        )
        if training.get("criterion"):
            screen.line(f"chosen by {str(training['criterion']).upper()} {training['value']:.1f}")
        for note in training.get("notes", []):
            screen.line(f"{note}.")
        for caution in training.get("cautions", []):
            screen.line(f"Beware: {caution}.")
    for line in facts:
        screen.line(line, indent=" " * 13)
    screen.line()
    describe(screen, stored.model, stored.names)
    told = {name: value for name, value in training.items() if name != "projection"}
    screen.json({**told, "best": as_json(stored.model, stored.names), "summary": [title, *facts]})
    return EXIT_OK
