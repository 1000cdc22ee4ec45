"""Tables as the pages show them: Markdown, a line as soon as it is known."""

from __future__ import annotations

__all__ = ["Table"]


class Table:
    """Prints its head at once; the first `n_texts` columns are aligned to the left, the others to the right."""

    def __init__(self, *head: object, n_texts: int = 1) -> None:
        self.row(*head)
        print("|" + "---|" * n_texts + "---:|" * (len(head) - n_texts))

    def row(self, *cells: object) -> None:
        """Print a line."""
        print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
