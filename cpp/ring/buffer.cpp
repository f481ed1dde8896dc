#include "ring/buffer.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <unordered_map>
#include <vector>

#include "ring/platform.h"

namespace hetorch::ring {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// A sanitizer sees a use of freed memory only if the C library has it back.
constexpr std::size_t kPooledBytes = 0;
constexpr std::size_t kMostPooledBytes = 0;
#else
// Bytes of free memory that the pool keeps at most: kPooledBytes, or half of the memory in use up to kMostPooledBytes.
// Raised, fewer blocks are asked of the system anew, and a process holds more memory that it does not use. The results
// of one hoisted rotation of a large ring are 400 MB: the system takes longer to hand them out, clearing every page,
// than we to compute them.
constexpr std::size_t kPooledBytes = std::size_t{256} << 20;
constexpr std::size_t kMostPooledBytes = std::size_t{768} << 20;
#endif
// A request of kSharedBytes or more takes the smallest free block that is as long, or longer by a kSlack-th part of it
// at most. A deep network has ciphertexts of another size at each level, a few rows shorter than those of the level
// above. With blocks of exactly its size, a bootstrap at N = 2^16 asked the system for 2 GB each time, with these for
// 0.3 GB, and the memory of the process was smaller. Raised, kSlack lets fewer levels share blocks, and less of a block
// lies idle. Shorter blocks stay in the second-level cache as long as scratch memory takes none of those that results
// leave: shared from 0 on, hoisted rotations at N = 2^14 took an eighth longer.
constexpr std::size_t kSharedBytes = std::size_t{2} << 20;
constexpr std::size_t kSlack = 4;

// Free blocks by size.
class Pool {
 public:
  std::uint64_t* take(std::size_t bytes) {
    {
      platform::Lock lock(mutex_);
      in_use_ += bytes;
      peak_ = std::max(peak_, in_use_);
    }
    try {
      if (std::uint64_t* block = reuse(bytes)) return block;
      return static_cast<std::uint64_t*>(platform::allocate(bytes));
    } catch (const std::bad_alloc&) {
      platform::Lock lock(mutex_);
      in_use_ -= bytes;
      throw;
    }
  }

  void give(std::uint64_t* block, std::size_t bytes) noexcept {
    platform::Lock lock(mutex_);
    in_use_ -= bytes;
    if (const auto longer = longer_.find(block); longer != longer_.end()) {
      bytes = longer->second;
      longer_.erase(longer);
    }
    try {
      Size& size = free_[bytes];
      size.last_use = ++uses_;
      size.blocks.push_back(block);
      held_ += bytes;
    } catch (const std::bad_alloc&) {
      platform::release(block);  // no room to remember the block
      return;
    }
    while (held_ > std::clamp(in_use_ / 2, kPooledBytes, kMostPooledBytes)) drop_oldest();
  }

  PoolStatistics statistics() {
    platform::Lock lock(mutex_);
    return {in_use_, peak_, held_};
  }
  void reset_peak() {
    platform::Lock lock(mutex_);
    peak_ = in_use_;
  }
  void trim() {
    platform::Lock lock(mutex_);
    while (held_ > 0) drop_oldest();
  }

 private:
  struct Size {
    std::vector<std::uint64_t*> blocks;
    std::uint64_t last_use = 0;  // value of uses_ then
  };

  // Return a free block for a request; null if there is none.
  std::uint64_t* reuse(std::size_t bytes) {
    platform::Lock lock(mutex_);
    const std::size_t most = bytes < kSharedBytes ? bytes : bytes + bytes / kSlack;
    for (auto size = free_.lower_bound(bytes); size != free_.end() && size->first <= most; ++size) {
      if (size->second.blocks.empty()) continue;
      std::uint64_t* block = size->second.blocks.back();
      if (size->first != bytes) longer_.emplace(block, size->first);
      size->second.blocks.pop_back();
      size->second.last_use = ++uses_;
      held_ -= size->first;
      return block;
    }
    return nullptr;
  }

  // Free one block of the least recently used size, so that what an earlier computation left behind does not take the
  // pool from this one. Needs held_ > 0.
  void drop_oldest() noexcept {
    auto oldest = free_.end();
    for (auto at = free_.begin(); at != free_.end();) {
      if (at->second.blocks.empty()) {
        at = free_.erase(at);
        continue;
      }
      if (oldest == free_.end() || at->second.last_use < oldest->second.last_use) oldest = at;
      ++at;
    }
    platform::release(oldest->second.blocks.back());
    oldest->second.blocks.pop_back();
    held_ -= oldest->first;
  }

  platform::Mutex mutex_;
  std::map<std::size_t, Size> free_;
  std::unordered_map<const std::uint64_t*, std::size_t> longer_;  // sizes of blocks in use that are above their request
  std::uint64_t uses_ = 0;
  std::size_t in_use_ = 0;
  std::size_t peak_ = 0;
  std::size_t held_ = 0;
};

Pool& pool() {
  static Pool* instance = new Pool;  // never destroyed: buffers may outlive static destructors
  return *instance;
}

std::size_t padded_bytes(std::size_t words) {
  return (words * 8 + platform::kAlignment - 1) / platform::kAlignment * platform::kAlignment;
}

}  // namespace

PoolStatistics pool_statistics() { return pool().statistics(); }
void reset_pool_peak() { pool().reset_peak(); }
void trim_pool() {
  pool().trim();
  platform::release_unused();
}

Buffer::Buffer(std::size_t words) : words_(words) {
  if (words != 0) data_ = pool().take(padded_bytes(words));
}

Buffer::Buffer(const Buffer& other) : Buffer(other.words_) {
  if (words_ != 0) std::memcpy(data_, other.data_, words_ * 8);
}

Buffer::~Buffer() {
  if (data_ != nullptr) pool().give(data_, padded_bytes(words_));
}

void wipe(void* data, std::size_t bytes) {
  if (bytes == 0) return;
  std::memset(data, 0, bytes);
  asm volatile("" : : "r"(data) : "memory");  // as far as the compiler knows, this reads the zeros
}

void Buffer::wipe() { ring::wipe(data_, words_ * 8); }

}  // namespace hetorch::ring
