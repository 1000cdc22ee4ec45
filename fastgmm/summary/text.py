"""A summary as it is shown: lines at a prompt and where it is printed, tables in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = ["Section", "Summary", "labelled_line"]

#: Characters of the names of facts.
LABEL = 12


def labelled_line(name: str, text: str) -> str:
    """Return a line of a summary."""
    return f"{name:{LABEL}} {text}"


@dataclass(frozen=True)
class Section:
    """A title, facts as `labelled_line` makes them, and a table by columns of cells, with a note beneath."""

    title: str
    facts: Sequence[str]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    note: str = ""

    def text(self) -> str:
        """Return the section as lines."""
        lines = [self.title, *self.facts]
        if self.columns:
            widths = [max(map(len, [head, *cells])) for head, cells in self.columns.items()]
            rows = [list(self.columns), *zip(*self.columns.values(), strict=True)]
            lines.append("")
            lines += ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, *([self.note] if self.note else [])])

    def html(self) -> str:
        """Return the section as HTML."""
        facts = "".join(
            f'<tr><th style="text-align:left">{escape(line[:LABEL].strip())}</th>'
            f'<td style="text-align:left">{escape(line[LABEL + 1 :])}</td></tr>'
            for line in self.facts
        )
        parts = [f"<p><strong>{escape(self.title)}</strong></p>", f"<table>{facts}</table>" if facts else ""]
        if self.columns:
            head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
            rows = zip(*self.columns.values(), strict=True)
            body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        return "".join([*parts, f"<p>{escape(self.note)}</p>" if self.note else ""])


class Summary(str):
    """What a fitted model came to, as text that shows itself: lines at a prompt, tables in a notebook.

    Parameters
    ----------
    text : str
    sections : sequence of Section
        What the text is made of.
    """

    sections: tuple[Section, ...]

    def __new__(cls, text: str, sections: Sequence[Section] = ()) -> Summary:
        """Return the text with its sections."""
        summary = super().__new__(cls, text)
        summary.sections = tuple(sections)
        return summary

    @classmethod
    def of(cls, *sections: Section) -> Summary:
        """Return the summary made of sections."""
        return cls("\n\n".join(section.text() for section in sections), sections)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return the summary as Jupyter shows it."""
        return "".join(section.html() for section in self.sections)
