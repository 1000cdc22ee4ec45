"""Builds the compiled engine: the kernels, one static library per instruction set, and the wrapper around them.

docs/development.md says which environment variables change what is built.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from shutil import which
from sysconfig import get_path, get_platform
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CompileError, LinkError, PlatformError

NATIVE = "fastgmm/kernels/native"
FILES = sorted(path.as_posix() for path in Path(NATIVE).iterdir())
SHARED = [f"{NATIVE}/dispatch.cpp", f"{NATIVE}/platform.cpp"]  # by all instruction sets
# Of the platform that is built for, which may be another than this one (the browser's, in a cross build).
KERNELS = ["kernels_generic"]
if get_platform().endswith(("x86_64", "amd64")):
    KERNELS += ["kernels_avx2", "kernels_avx512"]
elif get_platform().endswith(("aarch64", "arm64")):
    KERNELS += ["kernels_neon"]

# What a type of compiler is told: always, for OpenMP, and for the kernels of each instruction set.
# Contracting a * b + c is what the kernels count on. Errno and traps are not looked at; NaN and infinity are. What
# debuggers are told of the sources does not name the machine that built them. Vectors wider than the baseline never
# cross a function that another instruction set calls (psabi); GCC 12 warns about its AVX-512 header's own vectors.
UNIX = "-O3 -std=c++17 -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Wno-psabi -Wno-unknown-pragmas"
UNIX = [*UNIX.split(), "-Wno-maybe-uninitialized", "-Wno-uninitialized", f"-ffile-prefix-map={Path.cwd()}=."]
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]
UNIX_KERNELS = {"kernels_generic": [], "kernels_neon": []}
UNIX_KERNELS |= {"kernels_avx2": ["-mavx2", "-mfma"], "kernels_avx512": AVX512}
# Ways to OpenMP, the first that links: flags of the compiler, of the linker. Apple's Clang has it without its library,
# which Homebrew has.
OPENMP = [(["-fopenmp"], ["-fopenmp"])]
for prefix in ("/opt/homebrew/opt/libomp", "/usr/local/opt/libomp") if sys.platform == "darwin" else ():
    OPENMP.append((["-Xpreprocessor", "-fopenmp", f"-I{prefix}/include"], [f"-L{prefix}/lib", "-lomp"]))
FLAGS = {"unix": {"always": UNIX, "openmp": OPENMP, **UNIX_KERNELS}}
# clang-cl takes flags of both kinds. Microsoft's own compiler has no vectors to compile the kernels with.
CLANG_CL = "/O2 /std:c++17 /EHsc -Wno-unknown-pragmas -ffp-contract=fast /clang:-fno-math-errno -fno-trapping-math"
FLAGS["msvc"] = {"always": CLANG_CL.split(), "openmp": [(["/openmp"], ["libomp.lib"])], **UNIX_KERNELS}
if os.environ.get("FASTGMM_EMULATE_AVX512"):
    FLAGS["unix"] |= {"always": [*UNIX, "-DFASTGMM_EMULATE_AVX512"], "kernels_avx512": ["-O1"]}


NO_COMPILER = (
    "fastgmm is not built: {what}. Install a C++17 compiler with Python's headers (Debian: apt-get install g++ "
    "python3-dev; Fedora: dnf install gcc-c++ python3-devel; macOS: xcode-select --install; Windows: Visual Studio's "
    "build tools with 'C++ Clang tools'), or take the pure Python wheel, which runs on Numba: FASTGMM_NO_EXT=1 pip "
    "install '{where}[numba]'"
)


class BuildKernels(build_clib):
    def build_libraries(self, libraries):
        flags = FLAGS[self.compiler.compiler_type]
        if self.compiler.compiler_type == "msvc":
            use_clang_cl(self.compiler)
        if fault := self.fault():
            # One line, and not a traceback whose first cause is pages above its end.
            sys.exit(NO_COMPILER.format(what=fault, where="." if Path(".git").exists() else "fastgmm"))
        ways = [] if os.environ.get("FASTGMM_NO_OPENMP") else flags["openmp"]
        compiling, self.linking = next(filter(self.links, ways), ([], []))
        if ways and not compiling:
            rule = "=" * 78
            self.warn(f"\n{rule}\nfastgmm is built WITHOUT OpenMP (libgomp, libomp): it runs on one core.\n{rule}")
        self.always = flags["always"] + compiling
        for name, library in libraries:
            library["cflags"] = self.always + flags[name]
        with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
            list(side_by_side.map(super().build_libraries, [[library] for library in libraries]))

    def fault(self):
        for text, fault in (("", "no C++ compiler works"), ("#include <Python.h>\n", "Python.h is not there")):
            with TemporaryDirectory() as folder:
                Path(folder, "probe.cpp").write_text(text)
                try:
                    self.compiler.compile([f"{folder}/probe.cpp"], folder, include_dirs=[get_path("include")])
                except (CompileError, PlatformError) as error:
                    return f"{fault} ({error})"
        return None

    def links(self, way):
        with TemporaryDirectory() as folder, suppress(CompileError, LinkError):
            Path(folder, "probe.cpp").write_text("#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n")
            objects = self.compiler.compile([f"{folder}/probe.cpp"], folder, extra_postargs=way[0])
            self.compiler.link_executable(objects, "probe", folder, extra_postargs=way[1], target_lang="c++")
            return True
        return False


def use_clang_cl(compiler):
    compiler.initialize()
    compiler.cc = which("clang-cl") or compiler.cc


class BuildWrapper(build_ext):
    def build_extensions(self):
        self.run_command("build_clib")  # which an in-place build would leave out
        kernels, (wrapper,) = self.get_finalized_command("build_clib"), self.extensions
        wrapper.extra_compile_args, wrapper.extra_link_args = kernels.always, kernels.linking
        if self.compiler.compiler_type == "msvc":
            use_clang_cl(self.compiler)
        super().build_extensions()


class BuildModules(build_py):
    def run(self):
        super().run()
        if not self.editable_mode:
            # Beside the package: Python reads it when it starts. docs/switch.md says what for.
            self.copy_file("fastgmm/start_up.pth", f"{self.build_lib}/fastgmm_start_up.pth")


if os.environ.get("FASTGMM_NO_EXT"):
    setup(cmdclass={"build_py": BuildModules})
else:
    wrapper = Extension("fastgmm.kernels._compiled", ["fastgmm/kernels/_compiled.pyx", *SHARED])
    wrapper.include_dirs, wrapper.language, wrapper.depends = ["fastgmm/kernels", np.get_include()], "c++", FILES
    wrapper.define_macros = [("NPY_NO_DEPRECATED_API", "NPY_1_25_API_VERSION")]
    wrapper.define_macros += [(f"HAVE_{name.upper()}", None) for name in KERNELS]
    # Objects of another kind (serial, emulated, sanitised) lie elsewhere, so that none is taken for another.
    shaping = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "FASTGMM_NO_OPENMP", "FASTGMM_EMULATE_AVX512")
    build = f"build/{crc32(repr([os.environ.get(name) for name in shaping]).encode()):08x}"
    libraries = [(name, {"sources": [f"{NATIVE}/{name}.cpp"], "obj_deps": {"": FILES}}) for name in KERNELS]
    commands = {"build_clib": BuildKernels, "build_ext": BuildWrapper, "build_py": BuildModules}
    options = {"build": {"build_base": build}}
    setup(libraries=libraries, ext_modules=[wrapper], cmdclass=commands, options=options)
