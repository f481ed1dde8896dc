// One pool of threads for the process. Work is cut the same way for every number of threads, so results are the same
// bits.
#pragma once

#include <cstddef>
#include <functional>

namespace hetorch::ring {

// Threads that work at once, the caller included: HETORCH_NUM_THREADS (1..256), else the size of the affinity mask.
std::size_t thread_count();

// Run body(0) … body(count - 1), in any order, on the caller and the pool; returns when all are done and rethrows the
// first exception. Many callers at once share the pool. A call from inside a body runs on its own thread only.
void parallel_for(std::size_t count, const std::function<void(std::size_t)>& body);

}  // namespace hetorch::ring
