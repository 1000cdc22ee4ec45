// Memory of a pass: measured, allocated once before the parallel region, and cut into aligned pieces.

constexpr int64_t ALIGNMENT = 64;

INLINE int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Hands out pieces of a block. With no block it only measures how much would be needed, and pieces are null.
struct Arena {
    char* block = nullptr;
    int64_t used = 0;

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
        if (piece) __builtin_memset(block + first, 0, size_t(used - first));
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
        memory = static_cast<char*>(std::aligned_alloc(ALIGNMENT, size_t(arena.used + ALIGNMENT)));
        if (!memory) return false;
        arena = Arena{memory, 0};
        lay_out(arena);
        return true;
    }

  private:
    char* memory = nullptr;
};
