// Software prefetching, for loops that read more streams from memory at once than the processor's prefetcher follows.
#pragma once

#include "kernels/api.h"

namespace hetorch::kernels {

// Prefetch the cache line `words` words after p. It may be beyond the end of the array, which is why the address is
// computed as an integer.
inline void prefetch_ahead(const u64* p, std::size_t words) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + words * sizeof(u64)));
}

}  // namespace hetorch::kernels
