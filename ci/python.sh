# Sourced: sets PYTHON to the first interpreter of a supported version.
for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        PYTHON=$candidate
        break
    fi
    PYTHON=
done
if [ -z "$PYTHON" ]; then
    echo "No Python 3.11 or later was found; install one or set PYTHON to its path." >&2
    exit 1
fi
