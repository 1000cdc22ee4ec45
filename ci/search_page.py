"""Asks the pages' own search, in a browser without a window, for what people type, and checks which pages it finds.

``python ci/search_page.py docs/_build/html``. The browser is Chromium or Chrome: that named by the variable CHROME, or
the first on the path. Without one nothing is tested, which is an error where CI is set.
"""

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from urllib.parse import quote

#: What is typed, and the page that must be among the first FIRST found.
EXPECTED = {
    "semi-supervised": "partial_labels.html",
    "confidence interval": "choosing.html",
    "out-of-core": "big_data.html",
    "silhouette": "troubleshooting.html",
    "cite": "citing.html",
    "conda": "install.html",
    "changelog": "CHANGELOG.html",
    "outlier detection": "anomalies.html",
    "number of clusters": "choosing.html",
    "missing values": "missing_values.html",
}
FIRST = 5
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
LINK = re.compile(r'<li class="[^"]*"><a href="([^"#?]+)')


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *arguments):
        """Leave requests unmentioned."""


def found(browser, address):
    """Return the pages that the search page at an address lists, in its order."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom", address]
    done = subprocess.run([browser, *options], capture_output=True, text=True, timeout=120, check=True)
    results = done.stdout.partition('id="search-results"')[2]
    if "page" not in results:
        raise SystemExit(f"{address} shows no results: has the search page changed?")
    return LINK.findall(results)


def main():
    """Ask for every expected word; return 1 if a page is not found."""
    folder = Path(sys.argv[1])
    browser = os.environ.get("CHROME") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("The search page is not tested: there is no Chromium on this machine (apt-get install chromium)")
        return 1 if os.environ.get("CI") else 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    missed = []
    for words, page in EXPECTED.items():
        pages = found(browser, f"http://127.0.0.1:{server.server_port}/search.html?q={quote(words)}")
        if page not in pages[:FIRST]:
            missed.append(f"{words!r}: {page} is not among the first {FIRST} of {len(pages)}: {pages[:FIRST]}")
    server.shutdown()
    print("\n".join(missed) or f"search page: {len(EXPECTED)} searches find their pages")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
