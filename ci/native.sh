# Sourced: builds the native kernels with their test (tests/fuzz) outside Python.
KERNELS=fastgmm/kernels
KERNEL_FLAGS="-std=c++17 -ffp-contract=fast -fno-math-errno -fno-trapping-math -w -I$KERNELS"

build_native() {  # folder, compiler, instruction sets, flags, link flags, sources beside the kernels
    local folder=$1 compiler=$2 sets=$3 flags=$4 link=$5 isa defined=
    shift 5
    mkdir -p "$folder"
    for isa in $sets; do defined="$defined -DHAVE_KERNELS_${isa^^}"; done
    for isa in $sets; do
        local target=
        case $isa in
            avx2) target="-mavx2 -mfma" ;;
            avx512)
                target="-mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512"
                # Their code is that of the other sets; with 512-bit vectors it takes ten times as long to compile.
                case $flags in *undefined*) target="$target -fno-sanitize=null,alignment,object-size,vptr" ;; esac
                ;;
        esac
        echo "$compiler $flags $KERNEL_FLAGS $defined $target -c $KERNELS/native/kernels_$isa.cpp -o $folder/$isa.o"
    done >"$folder/commands"
    for source in "$KERNELS/native/dispatch.cpp" "$@"; do
        echo "$compiler $flags $KERNEL_FLAGS $defined -c $source -o $folder/$(basename "$source" .cpp).o"
    done >>"$folder/commands"
    xargs -P "$(nproc)" -I{} sh -c '{}' <"$folder/commands"
    $compiler $flags $link "$folder"/*.o -o "$folder/run"
}
