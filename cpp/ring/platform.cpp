#include "ring/platform.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <new>

#ifndef HETORCH_PLATFORM_PLAIN
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <system_error>
#include <thread>
#endif

namespace hetorch::ring::platform {

void release(void* block) noexcept { std::free(block); }

void release_unused() noexcept {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

#ifdef HETORCH_PLATFORM_PLAIN

void* allocate(std::size_t bytes) {
  void* block = std::aligned_alloc(kAlignment, bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

bool start_thread(std::function<void()>) noexcept { return false; }
std::size_t usable_cores() { return 1; }
int current_core() { return -1; }
void leave_core(int) {}
long process_id() { return 0; }

#else

namespace {

// Size of a huge page in bytes. Blocks of this size or more are aligned to it and put on huge pages: with pages of
// 4 KiB, streaming a key of 100 MB misses the address cache (TLB) at every page.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

void* allocate(std::size_t bytes) {
  const bool large = bytes >= kHugePage;
  void* block = nullptr;
  // Not std::aligned_alloc, which wants a multiple of the alignment.
  if (posix_memalign(&block, large ? kHugePage : kAlignment, bytes) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (large) madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // a hint: failing is no error
#endif
  return block;
}

bool start_thread(std::function<void()> body) noexcept {
  try {
    std::thread(std::move(body)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

std::size_t usable_cores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return static_cast<std::size_t>(CPU_COUNT(&mask));
  return 1;
}

int current_core() { return sched_getcpu(); }

void leave_core(int core) {
  if (core < 0 || sched_getcpu() != core) return;
  cpu_set_t mask;
  if (sched_getaffinity(getpid(), sizeof mask, &mask) != 0) return;
  CPU_CLR(core, &mask);
  if (CPU_COUNT(&mask) > 0) sched_setaffinity(0, sizeof mask, &mask);
}

long process_id() { return getpid(); }

#endif

}  // namespace hetorch::ring::platform
