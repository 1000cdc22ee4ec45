// Runs the kernel test without a fuzzer: `replay [--random COUNT SEED] [FILE ...]`. A case that aborts is printed, as
// the bytes of a file to run again.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cases.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static std::vector<uint8_t> bytes;

static void print_case(int) {
    std::fputs("the case: ", stderr);
    for (uint8_t byte : bytes) std::fprintf(stderr, "\\x%02x", byte);
    std::fputs("\n", stderr);
}

int main(int argc, char** argv) {
    std::signal(SIGABRT, print_case);
    long files = 0, cases = 0;
    for (int i = 1; i < argc; ++i) {
        if (!std::strcmp(argv[i], "--random") && i + 2 < argc) {
            cases = std::atol(argv[i + 1]);
            fuzz::Random random{uint64_t(std::atol(argv[i + 2]))};
            for (long n = 0; n < cases; ++n) {
                // Half of them without unusual values, so that the reference is met.
                bytes.resize(n % 2 ? 9 : 9 + size_t(random.uniform() * 60));
                for (uint8_t& byte : bytes) byte = uint8_t(random.uniform() * 256);
                LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
            }
            i += 2;
            continue;
        }
        std::FILE* file = std::fopen(argv[i], "rb");
        if (!file) {
            std::fprintf(stderr, "%s cannot be read\n", argv[i]);
            return 2;
        }
        bytes.resize(1 << 16);
        bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
        bytes.shrink_to_fit();
        std::fclose(file);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
        ++files;
    }
    std::printf("%ld files and %ld random cases passed\n", files, cases);
    return files + cases == 0;
}
