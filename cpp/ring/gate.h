// A latch: tasks of a parallel loop wait here for the results of earlier tasks.
#pragma once

#include <atomic>
#include <cstddef>

#include "ring/platform.h"
#include "ring/spin.h"

namespace hetorch::ring {

// Opens, for good, after `arrivals` calls of arrive(). A task may only wait for tasks of lower index in the same loop:
// those were started before it, on some thread, so the task of lowest index never waits and there is no deadlock.
class Gate {
 public:
  explicit Gate(std::size_t arrivals) : left_(static_cast<int>(arrivals)) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Count one arrival. Returns true if it opened the gate.
  bool arrive() noexcept {
    const bool last = left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    if (last) platform::wake_sleepers(left_);
    return last;
  }
  // Open at once after a task failed, so that no task waits for it. Its exception discards the results of the others.
  void open() noexcept {
    left_.store(0, std::memory_order_release);
    platform::wake_sleepers(left_);
  }
  void wait() const noexcept {
    // The wait is usually for one transform, a few microseconds: less than a thread takes to sleep and wake up.
    if (spin_until([this] { return left_.load(std::memory_order_acquire) <= 0; })) return;
    for (int left = left_.load(std::memory_order_acquire); left > 0; left = left_.load(std::memory_order_acquire)) {
      platform::sleep_while_equal(left_, left);
    }
  }

 private:
  std::atomic<int> left_;
};

}  // namespace hetorch::ring
