// What differs between operating systems, and no instruction set: threads, a clock, pages of memory.
#pragma once

#include <cstddef>

namespace fastgmm {

// Seconds of a clock that never goes back.
double monotonic_seconds();

// Lets another thread run.
void yield_thread();

// Asks the system for large pages; nothing where it has none to be asked for.
void ask_for_large_pages(char* memory, size_t bytes);

// How many threads can run at the same time beside this one, at most `wanted`: found by starting them.
int threads_beside(int wanted);

// Has `in_child` called in every child that this process forks; nothing where there are none.
void call_in_forked_children(void (*in_child)());

}  // namespace fastgmm
