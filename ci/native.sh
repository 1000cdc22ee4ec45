# Sourced: what builds and checks the native kernels outside Python, with their test (tests/fuzz) or without.
KERNELS=fastgmm/kernels
KERNEL_FLAGS="-std=c++17 -ffp-contract=fast -fno-math-errno -fno-trapping-math -I$KERNELS"

target_flags() {  # instruction set
    case $1 in
        neon) ;;
        avx2) echo "-mavx2 -mfma" ;;
        avx512) echo "-mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512" ;;
    esac
}

sources_and_flags() {  # instruction sets, sources beside the kernels: a line for each file that is compiled
    local sets=$1 isa defined=
    shift
    for isa in $sets; do defined="$defined -DHAVE_KERNELS_${isa^^}"; done
    for isa in $sets; do echo "$KERNELS/native/kernels_$isa.cpp $KERNEL_FLAGS $(target_flags "$isa")"; done
    for source in "$KERNELS"/native/{dispatch,platform}.cpp "$@"; do echo "$source $KERNEL_FLAGS $defined"; done
}

build_native() {  # folder, compiler, instruction sets, flags, link flags, sources beside the kernels
    local folder=$1 compiler=$2 sets=$3 flags=$4 link=$5
    shift 5
    mkdir -p "$folder"
    sources_and_flags "$sets" "$@" | while read -r source its_flags; do
        case $source$flags in
            # Their code is that of the other sets; with 512-bit vectors it takes ten times as long to compile.
            *avx512.cpp*undefined*) its_flags="$its_flags -fno-sanitize=null,alignment,object-size,vptr" ;;
        esac
        echo "$compiler $flags -w $its_flags -c $source -o $folder/$(basename "$source" .cpp).o"
    done | xargs -P "$(nproc)" -I{} sh -c '{}'
    $compiler $flags $link "$folder"/*.o -o "$folder/run"
}
