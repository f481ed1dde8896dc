// One base conversion within a parallel loop: some tasks add the source rows, later tasks compute the target rows.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <initializer_list>

#include "ring/gate.h"
#include "rlwe/key_family.h"

namespace hetorch::rlwe {

// Consecutive rows of a polynomial that one task works on, so that it reads each source row once for all of them.
struct RowGroup {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t count() const { return end - begin; }
};

// Largest number of rows in a group, and size of arrays on the stack; most_rows() in extension.cpp may choose fewer.
inline constexpr std::size_t kMostGroupRows = 6;

// Memory that the work on a row touches, which decides on the size of groups.
struct RowCost {
  std::size_t scratch_rows;  // rows of scratch memory for one row of a group
  std::size_t source_rows;   // rows that a base conversion reads, once for all rows of a group
};

// Cut [begin, end) into groups of nearly the same size, the larger ones first. If there are enough rows, each thread
// gets the same number of groups, so that all threads finish together.
std::vector<RowGroup> row_groups(std::size_t begin, std::size_t end, const RowCost& cost, std::size_t n);

// Distance in words between the rows that a base conversion reads. At a distance of a power of two, the words of one
// position in all rows map to the same set of the first-level cache, and a loop over more rows than the cache has ways
// (twelve) finds none of them in the cache again. With nine further cache lines, the rows map to different sets. From
// n = 2^12 on a row fills all sets.
inline std::size_t row_stride(std::size_t n) { return n < 4096 ? n : n + 72; }

// True if a group's rows stay in the second-level cache from one step to the next, so that each step is done for all of
// them at once. Longer rows go through all steps one row after the other, so that a prime's tables are read from memory
// once.
inline bool stay_in_cache(std::size_t n) { return n <= std::size_t{1} << 14; }

class Extension {
 public:
  Extension(const ring::BaseConverter& converter, const ring::RnsBasis& basis);

  std::size_t source_count() const { return converter_.sources().size(); }
  // Add source i, in the NTT domain. To be called once for each source, from any thread.
  void put(std::size_t i, const std::uint64_t* row);
  // outs[t] = coefficients modulo prime targets[t], t < count; waits until all sources are there.
  void take(std::uint64_t* const* outs, const std::size_t* targets, std::size_t count) const;
  // Wait until all sources are there; a thread that waits computes a part of what converting them needs.
  void wait() const;
  // End all waits, after a task failed.
  void abandon() noexcept {
    sources_.open();
    ready_.open();
  }

 private:
  // Compute pieces of v until others have taken the last one.
  void compute_pieces() const;

  const ring::BaseConverter& converter_;
  std::size_t n_;
  std::size_t stride_;
  std::size_t piece_;     // length of a piece of v in words
  ring::Buffer storage_;  // the y_i of BaseConverter, then v
  std::vector<const std::uint64_t*> rows_;
  std::uint64_t* v_;  // the last of rows_
  ring::Gate sources_;
  mutable std::atomic<std::size_t> next_{0};  // where the next piece of v begins
  mutable ring::Gate ready_;                  // opened by the last piece
};

// Run task(0) … task(count - 1) in parallel. Tasks may wait for the extensions in `waited`, if tasks of lower index
// fill them.
void run_stages(std::size_t count, std::initializer_list<std::deque<Extension>*> waited,
                const std::function<void(std::size_t)>& task);

}  // namespace hetorch::rlwe
