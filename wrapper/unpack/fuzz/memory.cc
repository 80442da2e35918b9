#include "memory.hh"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <unistd.h>

#include <sanitizer/allocator_interface.h>

namespace stowage::fuzz {

namespace {

constexpr int64_t most_bytes = 64 << 20;
std::atomic<int64_t> used_bytes{0};

// Must not allocate.
void on_malloc(const volatile void *, size_t size) {
    if (used_bytes.fetch_add(static_cast<int64_t>(size)) + static_cast<int64_t>(size) <= most_bytes)
        return;
    constexpr char sentence[] = "FOUND: more than 64 MiB of memory are used\n";
    (void)!write(STDERR_FILENO, sentence, sizeof sentence - 1);
    abort();
}

void on_free(const volatile void *memory) {
    if (memory)
        used_bytes -= static_cast<int64_t>(__sanitizer_get_allocated_size(memory));
}

} // namespace

void bound_memory() {
    static const bool installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
    used_bytes = installed ? 0 : most_bytes;
}

} // namespace stowage::fuzz
