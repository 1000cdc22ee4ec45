// The one file that asks the operating system for anything.

#include "platform.hpp"

#include <chrono>

#if !defined(_WIN32) && !defined(__wasm__)
#include <pthread.h>
#include <sched.h>

#include <cstdlib>
#endif
#if defined(__linux__)
#include <sys/mman.h>

#include <cstdint>
#endif
#if defined(_WIN32)
extern "C" __declspec(dllimport) int __stdcall SwitchToThread();
#endif

namespace fastgmm {

double monotonic_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void yield_thread() {
#if defined(_WIN32)
    SwitchToThread();
#elif !defined(__wasm__)
    sched_yield();
#endif
}

void ask_for_large_pages(char* memory, size_t bytes) {
#if defined(MADV_HUGEPAGE)
    const size_t past = size_t(reinterpret_cast<uintptr_t>(memory) % 4096), skipped = (4096 - past) % 4096;
    madvise(memory + skipped, (bytes - skipped) / 4096 * 4096, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)bytes;
#endif
}

#if defined(_WIN32) || defined(__wasm__)
// Windows commits a thread's memory when it is asked for one, and no process forks; a browser runs none.
int threads_beside(int wanted) { return wanted; }
void call_in_forked_children(void (*)()) {}
#else
int threads_beside(int wanted) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    auto wait = [](void* at) -> void* {
        pthread_mutex_lock(static_cast<pthread_mutex_t*>(at));
        pthread_mutex_unlock(static_cast<pthread_mutex_t*>(at));
        return nullptr;
    };
    pthread_t* threads = static_cast<pthread_t*>(std::malloc(sizeof(pthread_t) * size_t(wanted)));
    if (!threads) return 0;
    int started = 0;
    pthread_mutex_lock(&gate);
    while (started < wanted && !pthread_create(&threads[started], nullptr, wait, &gate)) ++started;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; ++i) pthread_join(threads[i], nullptr);
    std::free(threads);
    return started;
}

void call_in_forked_children(void (*in_child)()) { pthread_atfork(nullptr, nullptr, in_child); }
#endif

}  // namespace fastgmm
