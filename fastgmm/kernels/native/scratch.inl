// Memory of one pass: one allocation per thread, cut into aligned pieces before the parallel region.

constexpr int64_t ALIGNMENT = 64;

INLINE int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Hands out aligned pieces. With no block it only measures how much would be needed.
struct Arena {
    char* block;
    int64_t used;

    template <typename T>
    T* take(int64_t count) {
        T* piece = block ? reinterpret_cast<T*>(block + used) : nullptr;
        used += round_up(count * int64_t(sizeof(T)), ALIGNMENT);
        return piece;
    }
};

struct Block {
    char* memory = nullptr;

    bool allocate(int64_t bytes) {
        memory = static_cast<char*>(std::aligned_alloc(ALIGNMENT, size_t(round_up(bytes + ALIGNMENT, ALIGNMENT))));
        return memory != nullptr;
    }
    ~Block() { std::free(memory); }
};
