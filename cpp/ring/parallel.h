// One pool of threads for the process. Results do not depend on the number of threads: their bits are the same.
#pragma once

#include <cstddef>
#include <functional>

namespace hetorch::ring {

// Number of threads that work on a loop, the caller included: the environment variable HETORCH_NUM_THREADS (1 to 256),
// or the number of cores that the process may run on. It is read once; throws std::runtime_error if the variable is
// wrong.
std::size_t thread_count();

// Run body(0) … body(count - 1) on the calling thread and the pool, started in the order of the index. Returns when all
// are done; rethrows the first exception. Many callers at once share the pool. A call from inside a body stays on the
// body's thread.
void parallel_for(std::size_t count, const std::function<void(std::size_t)>& body);

}  // namespace hetorch::ring
