#include "ring/buffer.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

namespace hetorch::ring {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kPooledBytes = std::size_t{256} << 20;  // what the pool keeps at most; beyond it memory is freed

class Pool {
 public:
  std::uint64_t* take(std::size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      auto found = free_.find(bytes);
      if (found != free_.end() && !found->second.empty()) {
        std::uint64_t* block = found->second.back();
        found->second.pop_back();
        held_ -= bytes;
        return block;
      }
    }
    void* block = std::aligned_alloc(kAlignment, bytes);
    if (block == nullptr) throw std::bad_alloc();
    return static_cast<std::uint64_t*>(block);
  }

  void give(std::uint64_t* block, std::size_t bytes) noexcept {
    {
      std::lock_guard lock(mutex_);
      if (held_ + bytes <= kPooledBytes) {
        try {
          free_[bytes].push_back(block);
          held_ += bytes;
          return;
        } catch (const std::bad_alloc&) {
          // No room to remember the block: fall through and free it.
        }
      }
    }
    std::free(block);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<std::uint64_t*>> free_;
  std::size_t held_ = 0;
};

Pool& pool() {
  static Pool* instance = new Pool;  // never destroyed: buffers may outlive static destructors
  return *instance;
}

std::size_t padded_bytes(std::size_t words) { return (words * 8 + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

Buffer::Buffer(std::size_t words) : words_(words) {
  if (words != 0) data_ = pool().take(padded_bytes(words));
}

Buffer::Buffer(const Buffer& other) : Buffer(other.words_) {
  if (words_ != 0) std::memcpy(data_, other.data_, words_ * 8);
}

Buffer::~Buffer() {
  if (data_ != nullptr) pool().give(data_, padded_bytes(words_));
}

void Buffer::wipe() {
  volatile std::uint64_t* words = data_;
  for (std::size_t i = 0; i < words_; ++i) words[i] = 0;
}

}  // namespace hetorch::ring
