"""The directive `command-output`: runs fastgmm's command line at build and shows what it writes."""

import os
import shlex
import subprocess
import sys
import tempfile

from docutils import nodes
from docutils.parsers.rst import Directive, directives


class CommandOutput(Directive):
    """Run ``fastgmm ARGUMENTS`` in an empty folder; several lines are run one after the other in the same folder."""

    required_arguments = 0
    has_content = True
    option_spec = {"prompt": directives.flag}  # noqa: RUF012  (docutils' own convention)

    def run(self):
        """Return a literal block of the commands, where asked for, and their output."""
        shown = []
        with tempfile.TemporaryDirectory() as folder:
            for line in self.content:
                arguments = [sys.executable, "-m", "fastgmm.cli", *shlex.split(line)]
                environment = {**os.environ, "COLUMNS": "78", "MPLBACKEND": "agg", "NO_COLOR": "1"}
                done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
                if done.returncode:
                    raise self.error(f"fastgmm {line} failed ({done.returncode}): {done.stderr}")
                shown.append((f"$ fastgmm {line}\n" if "prompt" in self.options else "") + done.stdout.rstrip("\n"))
        text = "\n\n".join(shown)
        block = nodes.literal_block(text, text)
        block["language"] = "console" if "prompt" in self.options else "text"
        return [block]


def setup(app):
    """Register the directive."""
    app.add_directive("command-output", CommandOutput)
    return {"parallel_read_safe": True}
