// 64-byte aligned arrays of 64-bit words. Their memory comes from a pool, so that computations do not ask the system
// for it each time.
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

  // Overwrite all words with zeros, as ring::wipe does.
  void wipe();

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(words_, other.words_);
  }

  std::uint64_t* data_ = nullptr;
  std::size_t words_ = 0;
};

// Overwrite memory with zeros in a way that the compiler cannot leave out: for secrets, before their memory is freed.
void wipe(void* data, std::size_t bytes);

struct PoolStatistics {
  std::size_t in_use = 0;  // bytes of all buffers that exist
  std::size_t peak = 0;    // largest value of in_use since reset_pool_peak()
  std::size_t held = 0;    // bytes of free memory that the pool keeps for later
};

PoolStatistics pool_statistics();
void reset_pool_peak();
// Give the free memory that the pool and the C library keep back to the system.
void trim_pool();

}  // namespace hetorch::ring
