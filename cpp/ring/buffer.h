// 64-byte aligned arrays of 64-bit words, taken from a pool so that inner loops never ask the system for memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace hetorch::ring {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t words);  // contents are unspecified
  ~Buffer();
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer& other);
  Buffer& operator=(const Buffer& other) {
    Buffer copy(other);
    swap(copy);
    return *this;
  }

  std::uint64_t* data() { return data_; }
  const std::uint64_t* data() const { return data_; }
  std::size_t size() const { return words_; }

  // As ring::wipe, the whole.
  void wipe();

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(words_, other.words_);
  }

  std::uint64_t* data_ = nullptr;
  std::size_t words_ = 0;
};

// Overwrites with zeros in a way the compiler cannot leave out: for secrets, before their memory is freed.
void wipe(void* data, std::size_t bytes);

// Bytes of all buffers that exist, the most that existed at once since the last reset, and what the pool keeps for
// later.
struct PoolStatistics {
  std::size_t in_use = 0;
  std::size_t peak = 0;
  std::size_t held = 0;
};

PoolStatistics pool_statistics();
void reset_pool_peak();
// Gives what the pool keeps back to the system.
void trim_pool();

}  // namespace hetorch::ring
