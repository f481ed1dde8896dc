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

// Base conversion reads its sources once a group, so more rows mean less traffic; but what a group works on shall stay
// in the second-level cache. Where not even one row does (N >= 2^15), four are best (measured at N = 2^16: one costs 30
// % more, eight are no faster).
inline constexpr std::size_t kMostGroupRows = 4;

// [begin, end) cut into groups of nearly the same size, at least one for each thread. Each row works on `scratch_rows`
// rows of n words.
std::vector<RowGroup> row_groups(std::size_t begin, std::size_t end, std::size_t scratch_rows, std::size_t n);

// From row to row of what a key switch works on. Rows a power of two apart share the few sets of the first-level cache
// that a position has there, and a loop over more rows than it has ways (twelve) finds nothing in it again: nine lines
// more move each row to other sets. N = 2^12 is where a row fills all sets once.
inline std::size_t row_stride(std::size_t n) { return n < 4096 ? n : n + 72; }

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
