// Memory of a pass: measured, allocated once before the parallel region, and cut into aligned pieces.

constexpr int64_t ALIGNMENT = 64;

INLINE int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Hands out pieces of a block. With no block it only measures how much would be needed, and pieces are null.
struct Arena {
    char* block = nullptr;
    int64_t used = 0;
    bool is_zero = false;  // the block is, from the start

    template <typename T>
    T* take(int64_t count) {
        T* piece = block ? reinterpret_cast<T*>(block + used) : nullptr;
        used += round_up(count * int64_t(sizeof(T)), ALIGNMENT);
        return piece;
    }

    // The same, all of it zero.
    template <typename T>
    T* zeros(int64_t count) {
        const int64_t first = used;
        T* piece = take<T>(count);
        if (piece && !is_zero) __builtin_memset(block + first, 0, size_t(used - first));
        return piece;
    }
};

// Owns the memory of what it lays out.
class Scratch {
  public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    ~Scratch() { std::free(memory); }

    // Calls lay_out(arena) to measure and, when there is so much memory, again to hand out.
    template <typename LayOut>
    bool allocate(LayOut lay_out) {
        Arena arena;
        lay_out(arena);
        // The system's pages are zero: so large a block need not be written to make it so.
        const bool is_zero = arena.used >= LARGE;
        const size_t bytes = size_t(arena.used + ALIGNMENT);
        memory = static_cast<char*>(is_zero ? std::calloc(bytes, 1) : std::malloc(bytes));
        if (!memory) return false;
        // Scatter of many features is tens of megabytes that every pass takes anew: the first touch of each small page
        // costs more than what is then computed from it.
        if (is_zero) ask_for_large_pages(memory, bytes);
        const int64_t past = int64_t(reinterpret_cast<uintptr_t>(memory) % uintptr_t(ALIGNMENT));
        arena = Arena{memory + (ALIGNMENT - past) % ALIGNMENT, 0, is_zero};
        lay_out(arena);
        return true;
    }

  private:
    static constexpr int64_t LARGE = 32 << 20;

    char* memory = nullptr;
};
