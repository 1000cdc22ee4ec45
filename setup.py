"""Builds the compiled engine: one kernel source, compiled once per instruction set.

Environment: ``FASTGMM_NO_EXT=1`` leaves the extension out (a pure-Python wheel that runs on the Numba engine);
``FASTGMM_NO_OPENMP=1`` builds it serial; ``FASTGMM_EMULATE_AVX512=1`` builds the AVX-512 kernels without AVX-512, to
test their source on a processor that has none.
"""

import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = Path("fastgmm/kernels")
X86 = platform.machine().lower() in ("x86_64", "amd64")

# Flags of each kernels_<name>.cpp; the generic build keeps the compiler's baseline.
INSTRUCTION_SETS = {"generic": []}
if X86:
    INSTRUCTION_SETS["avx2"] = ["-mavx2", "-mfma"]
    INSTRUCTION_SETS["avx512"] = [
        *("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512")
    ]

EMULATED = X86 and bool(os.environ.get("FASTGMM_EMULATE_AVX512"))
if EMULATED:
    INSTRUCTION_SETS["avx512"] = ["-O1"]

# Contracting a * b + c is what the kernels count on. Errno and traps are not looked at; NaN and infinity are.
FLAGS = ["-O3", "-std=c++17", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
# What debuggers are told of the sources does not name the machine that built them.
FLAGS += [f"-ffile-prefix-map={Path.cwd()}=."]
# Vectors wider than the baseline never cross a function that another instruction set calls.
# (GCC 12 warns about its own AVX-512 header's undefined vectors.)
FLAGS += ["-Wall", "-Wno-psabi", "-Wno-unknown-pragmas", "-Wno-maybe-uninitialized", "-Wno-uninitialized"]


class BuildKernels(build_ext):
    """Compiles every kernels_<name>.cpp with the flags of its instruction set."""

    def build_extension(self, ext):
        if not self._compiles(["-fopenmp"]) or os.environ.get("FASTGMM_NO_OPENMP"):
            rule = "=" * 78
            self.announce(
                f"{rule}\nfastgmm is built WITHOUT OpenMP: every pass runs on one core.\n"
                f"Install OpenMP for {self.compiler.compiler_cxx[0]} (libgomp or libomp) and build again.\n{rule}",
                level=4,
            )
        else:
            ext.extra_compile_args.append("-fopenmp")
            ext.extra_link_args.append("-fopenmp")
        compile_one, compile_all = self.compiler._compile, self.compiler.compile

        def compile_with_flags(obj, source, extension, cc_args, extra_args, pp_opts):
            name = Path(source).stem.removeprefix("kernels_")
            return compile_one(obj, source, extension, cc_args, extra_args + INSTRUCTION_SETS.get(name, []), pp_opts)

        def compile_side_by_side(sources, **kwargs):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = pool.map(lambda source: compile_all([source], **kwargs), sources)
                return [name for names in objects for name in names]

        self.compiler._compile, self.compiler.compile = compile_with_flags, compile_side_by_side
        try:
            super().build_extension(ext)
        finally:
            self.compiler._compile, self.compiler.compile = compile_one, compile_all

    def _compiles(self, flags):
        """Return whether a program that uses OpenMP compiles and links with `flags`."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.cpp")
            source.write_text("#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n")
            command = [*self.compiler.compiler_cxx, *flags, str(source), "-o", str(Path(folder, "probe"))]
            return subprocess.run(command, capture_output=True, check=False).returncode == 0


def extensions():
    """Return the extension, or nothing when it was not asked for."""
    if os.environ.get("FASTGMM_NO_EXT"):
        return []
    import numpy as np
    from Cython.Build import cythonize

    names = list(INSTRUCTION_SETS)
    native = KERNELS / "native"
    extension = Extension(
        "fastgmm.kernels._compiled",
        sources=[
            str(KERNELS / "_compiled.pyx"),
            str(native / "dispatch.cpp"),
            *(str(native / f"kernels_{name}.cpp") for name in names),
        ],
        depends=[str(path) for path in sorted(native.glob("*.inl")) + sorted(native.glob("*.hpp"))],
        include_dirs=[str(KERNELS), np.get_include()],
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_1_25_API_VERSION"),
            *([("FASTGMM_EMULATE_AVX512", None)] if EMULATED else []),
            *((f"FASTGMM_HAVE_{name.upper()}", None) for name in names),
        ],
        extra_compile_args=list(FLAGS),
        language="c++",
    )
    return cythonize([extension], language_level=3)


if sys.platform != "linux":
    sys.stderr.write("fastgmm is tested on Linux only; elsewhere the build may need changes\n")

setup(ext_modules=extensions(), cmdclass={"build_ext": BuildKernels})
