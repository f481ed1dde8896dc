// One base conversion shared by the tasks of a parallel loop: some bring the sources, later ones take the targets.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>

#include "ring/gate.h"
#include "rlwe/context.h"

namespace hetorch::rlwe {

// Rows of a polynomial that one task works on together: a source row is read once for all of them.
struct RowGroup {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t count() const { return end - begin; }
};

// At most so many rows a group.
inline constexpr std::size_t kMostGroupRows = 6;

// What one row of a group costs beside its own transforms, for the size of groups.
struct RowCost {
  std::size_t scratch_rows;  // rows it works on
  std::size_t source_rows;   // rows that a base conversion reads, once for all rows of a group
};

// [begin, end) cut into groups of nearly the same size, the larger ones first, so that threads that share them end
// together; at least one for each thread.
std::vector<RowGroup> row_groups(std::size_t begin, std::size_t end, const RowCost& cost, std::size_t n);

// From row to row of what a key switch works on. Rows a power of two apart share the few sets of the first-level cache
// that a position has there, and a loop over more rows than it has ways (twelve) finds nothing in it again: nine lines
// more move each row to other sets. N = 2^12 is where a row fills all sets once.
inline std::size_t row_stride(std::size_t n) { return n < 4096 ? n : n + 72; }

// Whether a group's rows stay in the second-level cache from one step to the next: then each step is done for all of
// them at once. Longer rows go through all steps one after the other, so that what belongs to one prime, its table
// above all, is read from memory once.
inline bool stay_in_cache(std::size_t n) { return n <= std::size_t{1} << 14; }

class Extension {
 public:
  Extension(const ring::BaseConverter& converter, const ring::RnsBasis& basis);

  std::size_t source_count() const { return converter_.sources().size(); }
  // Source i, in the NTT domain; each once, from any thread.
  void put(std::size_t i, const std::uint64_t* row);
  // outs[t] = coefficients modulo prime targets[t], t < count; waits until all sources are there.
  void take(std::uint64_t* const* outs, const std::size_t* targets, std::size_t count) const;
  // Until all sources are there.
  void wait() const { ready_.wait(); }
  // A task failed: nobody shall wait.
  void abandon() noexcept {
    sources_.open();
    ready_.open();
  }

 private:
  const ring::BaseConverter& converter_;
  std::size_t stride_;
  ring::Buffer storage_;  // the scaled sources, then their quotient
  std::vector<const std::uint64_t*> rows_;
  ring::Gate sources_;
  ring::Gate ready_;
};

// Runs task(0) … task(count - 1) in parallel; tasks may wait for `waited`, which tasks of lower index fill.
void run_stages(std::size_t count, std::initializer_list<std::deque<Extension>*> waited,
                const std::function<void(std::size_t)>& task);

}  // namespace hetorch::rlwe
