// A door that opens once: tasks of one parallel loop wait here for what earlier tasks make.
#pragma once

#include <atomic>
#include <cstddef>

#include "ring/platform.h"
#include "ring/spin.h"

namespace hetorch::ring {

// Opens after `arrivals` calls of arrive(). A task may only wait for tasks of lower index in the same loop: those were
// started before it, on whatever thread, so somebody always works on what is waited for.
class Gate {
 public:
  explicit Gate(std::size_t arrivals) : left_(static_cast<int>(arrivals)) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Whether this was the last arrival before the opening.
  bool arrive() noexcept {
    const bool last = left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    if (last) platform::wake_sleepers(left_);
    return last;
  }
  // For a task that failed: nobody shall wait for it. What the others compute is thrown away with its exception.
  void open() noexcept {
    left_.store(0, std::memory_order_release);
    platform::wake_sleepers(left_);
  }
  void wait() const noexcept {
    // What is waited for is usually a transform away, a few microseconds; only then is sleeping worth its wake-up.
    if (spin_until([this] { return left_.load(std::memory_order_acquire) <= 0; })) return;
    for (int left = left_.load(std::memory_order_acquire); left > 0; left = left_.load(std::memory_order_acquire)) {
      platform::sleep_while_equal(left_, left);
    }
  }

 private:
  std::atomic<int> left_;
};

}  // namespace hetorch::ring
