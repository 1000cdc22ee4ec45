#!/usr/bin/env bash
# The kernels on other platforms than this one, as far as one Linux machine can tell: zig (ziglang on PyPI) compiles them
# with their test against a long-double reference, and runs it where an emulator is found: qemu-user for aarch64 Linux,
# wine for x86-64 Windows, wasmtime (PyPI) for WebAssembly. macOS and arm64 Windows are compiled and linked, not run.
# CASES random cases each. INSTALL=1 installs the emulators that are missing with apt-get; FOLDER keeps what was built.
# Arguments are names of targets; all of them unless some are named.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/python.sh
. ci/native.sh
folder=${FOLDER:-$(mktemp -d)}
[ -n "${FOLDER:-}" ] || trap 'rm -rf "$folder"' EXIT
cases=${CASES:-300}
sources="tests/fuzz/fuzz_kernels.cpp tests/fuzz/replay.cpp"
wanted=
command -v qemu-aarch64 >/dev/null || wanted="$wanted qemu-user"
wine=$(command -v wine64 || command -v wine || ls /usr/lib/wine/wine64 2>/dev/null || true)
[ -n "$wine" ] || wanted="$wanted wine64"
if [ -n "$wanted" ] && [ -n "${INSTALL:-}" ]; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get update -qq
    # shellcheck disable=SC2086  # several names
    $as_root apt-get install --yes --no-install-recommends $wanted
    wine=$(command -v wine64 || command -v wine || ls /usr/lib/wine/wine64 2>/dev/null || true)
elif [ -n "$wanted" ]; then
    echo "Not on this machine, so that what needs it is compiled and not run: apt-get install$wanted (INSTALL=1 does it)."
fi
if [ ! -x "$folder/zig/bin/python" ]; then
    "$PYTHON" -m venv "$folder/zig"
    "$folder/zig/bin/python" -m pip install --quiet ziglang wasmtime
fi
"$folder/zig/bin/python" -c 'import importlib.metadata as m; print("zig", m.version("ziglang"), "wasmtime", m.version("wasmtime"))'

compile() {  # target, instruction sets, flags, flags of the linker
    build_native "$folder/$1" "$folder/zig/bin/python -m ziglang c++ -target $1" "$2" "-O2 ${3:-}" "${4:-}" $sources
}

ran() {  # target, how it is run
    echo "== $1"
    "${@:2}" --random "$cases" 1
}

# Instructions of a pass of NEON's kernels and of the generic ones, a row and component, counted by qemu: there is no
# clock here that would tell which is quicker.
count_instructions() {  # target
    local to="$folder/$1" zig="$folder/zig/bin/python -m ziglang"
    $zig cc -shared -fPIC -O2 tests/fuzz/count_instructions.c -o "$folder/count.so" || return 0
    $zig c++ -target "$1" -O2 $KERNEL_FLAGS -w tests/fuzz/passes.cpp "$to"/{kernels_neon,kernels_generic,dispatch,platform}.o \
        -o "$to/passes"
    executed() { qemu-aarch64 -plugin "file=$folder/count.so" "$to/passes" "$@" 2>&1 >/dev/null | tail -1; }
    local kind rows d k apart type isa count
    while read -r kind rows d k apart; do
        for type in f64 f32; do
            count=
            for isa in neon generic; do
                count="$count $isa $(( ($(executed $isa $type $kind $rows $d $k $apart 3) -
                    $(executed $isa $type $kind $rows $d $k $apart 1)) / (2 * rows * k) ))"
            done
            echo "$kind $d features, K=$k, means $apart apart, $type:$count"
        done
    done <<END
full 3000 2 8 0.3
full 1500 16 16 0.3
full 1500 16 16 4
full 600 64 8 0.3
tied 2000 16 16 0.3
diag 1500 40 32 0.3
spherical 2000 16 16 0.3
END
}

run_wasm='import sys, wasmtime
engine = wasmtime.Engine()
linker, store, wasi = wasmtime.Linker(engine), wasmtime.Store(engine), wasmtime.WasiConfig()
wasi.argv = sys.argv[1:]
wasi.inherit_stdout()
wasi.inherit_stderr()
store.set_wasi(wasi)
linker.define_wasi()
main = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1])).exports(store)["_start"]
try:
    main(store)
except wasmtime.ExitTrap as end:
    sys.exit(end.code)'

for target in ${@:-aarch64-linux-musl x86_64-windows-gnu aarch64-windows-gnu wasm32-wasi aarch64-macos x86_64-macos}; do
    case $target in
        aarch64-linux-musl)
            compile $target "generic neon"
            if command -v qemu-aarch64 >/dev/null; then
                ran $target qemu-aarch64 "$folder/$target/run"
                count_instructions $target
            else
                echo "$target: built; there is no qemu-aarch64 to run it"
            fi ;;
        x86_64-windows-gnu)
            compile $target "generic avx2"
            mv "$folder/$target/run" "$folder/$target/run.exe" 2>/dev/null || true
            if [ -n "$wine" ]; then
                WINEDEBUG=-all WINEPREFIX="$folder/wine" ran $target "$wine" "$folder/$target/run.exe"
            else
                echo "$target: built; there is no wine to run it"
            fi ;;
        wasm32-wasi)
            compile $target generic "-msimd128 -fno-exceptions -D_WASI_EMULATED_SIGNAL" -lwasi-emulated-signal
            ran $target "$folder/zig/bin/python" -c "$run_wasm" "$folder/$target/run" ;;
        aarch64-windows-gnu | aarch64-macos | x86_64-macos)
            case $target in aarch64*) sets="generic neon" ;; *) sets="generic avx2 avx512" ;; esac
            compile $target "$sets"
            echo "== $target"
            echo "compiled and linked, not run: $(wc -c <"$folder/$target/run") bytes" ;;
        *) echo "unknown target $target; see the head of $0" >&2; exit 1 ;;
    esac
done
