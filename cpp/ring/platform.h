// All that the core asks of an operating system: threads, their cores, and aligned memory. No other file of the core
// includes a header for these (tools/check_includes.py checks it).
//
// There are two versions. The Linux version is the default. The plain version, which WebAssembly uses, has one thread,
// locks that do nothing and the C library's allocator, and needs no threads in the standard library. It is chosen by
// defining HETORCH_PLATFORM_PLAIN, and on every system but Linux.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

#if !defined(HETORCH_PLATFORM_PLAIN) && !defined(__linux__)
#define HETORCH_PLATFORM_PLAIN
#endif

#ifndef HETORCH_PLATFORM_PLAIN
#include <condition_variable>
#include <mutex>
#endif

namespace hetorch::ring::platform {

// Alignment of memory in bytes: one cache line, and one AVX-512 register.
inline constexpr std::size_t kAlignment = 64;

// Allocate `bytes` bytes, a multiple of kAlignment, with contents unspecified. Throws std::bad_alloc.
void* allocate(std::size_t bytes);
void release(void* block) noexcept;
// Give free memory that the C library keeps back to the system, where it can.
void release_unused() noexcept;

// Run `body` on a new thread that nobody joins. Returns false if the system cannot start one.
bool start_thread(std::function<void()> body) noexcept;

// Number of cores that this process may run on; 1 if the system does not say.
std::size_t usable_cores();
// The core that the caller runs on; -1 if the system does not say.
int current_core();
// Move the calling thread to another usable core if it runs on `core`, and there is another one.
void leave_core(int core);
// Identifier of this process: another one in a forked child.
long process_id();

#ifdef HETORCH_PLATFORM_PLAIN

// With one thread there is no contention, and no other thread to wait for.
inline constexpr bool kThreads = false;

struct Mutex {};
class Lock {
 public:
  explicit Lock(Mutex&) {}
  ~Lock() {}
  void unlock() {}
};
struct Condition {
  template <class Ready>
  void wait(Lock&, const Ready&) {}
  void notify_one() {}
  void notify_all() {}
};

inline void sleep_while_equal(const std::atomic<int>&, int) noexcept {}
inline void wake_sleepers(std::atomic<int>&) noexcept {}

#else

inline constexpr bool kThreads = true;

using Mutex = std::mutex;
using Lock = std::unique_lock<std::mutex>;
using Condition = std::condition_variable;

// Sleep until `word` is seen with another value than `old` after wake_sleepers(word); may return early.
inline void sleep_while_equal(const std::atomic<int>& word, int old) noexcept {
  word.wait(old, std::memory_order_acquire);
}
inline void wake_sleepers(std::atomic<int>& word) noexcept { word.notify_all(); }

#endif

}  // namespace hetorch::ring::platform
