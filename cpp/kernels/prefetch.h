// Asking for words before they are read: many streams at once from memory are more than the processor's own prefetching
// follows.
#pragma once

#include "kernels/api.h"

namespace hetorch::kernels {

// The line `words` behind p. It may be beyond the array, where no pointer may point: nothing is read there.
inline void prefetch_ahead(const u64* p, std::size_t words) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + words * sizeof(u64)));
}

}  // namespace hetorch::kernels
