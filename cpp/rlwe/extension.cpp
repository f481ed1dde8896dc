#include "rlwe/extension.h"

#include <algorithm>

namespace hetorch::rlwe {

using kernels::u64;

namespace {

// The best number of rows in a group. With more rows the sources are read less often; with fewer rows the scratch
// memory stays in the caches. If two rows fit the second-level cache, two to four are best. If not even one does (n >=
// 2^15), the size of the sources decides: while they come from the third-level cache, reading them again is cheap, and
// smaller groups leave more room there. That matters with several threads, which have no more memory bandwidth than
// one. (Best as measured: for 1.5 MB of sources two rows on one thread and one on two, for 2.75 MB two, for 6.5 MB four
// on one thread and six on two.)
std::size_t most_rows(const RowCost& cost, std::size_t n, std::size_t threads) {
  // Size of a second-level cache in words: 1 MiB.
  constexpr std::size_t kCacheWords = (std::size_t{1} << 20) / 8;
  const std::size_t fitting = kCacheWords / (cost.scratch_rows * n);
  if (fitting != 0) return std::clamp(fitting, std::size_t{2}, std::size_t{4});
  const std::size_t sources = cost.source_rows * n / kCacheWords;
  return threads == 1 ? std::clamp(sources, std::size_t{2}, std::size_t{4})
                      : std::clamp(sources, std::size_t{1}, kMostGroupRows);
}

// Length in words of a piece of v: with more rows than fit the second-level cache, computing v takes long enough to be
// shared by all threads that wait for it.
std::size_t piece_length(std::size_t n) {
  constexpr std::size_t kPiece = 4096;
  return ring::thread_count() == 1 ? n : std::min(n, kPiece);
}

}  // namespace

std::vector<RowGroup> row_groups(std::size_t begin, std::size_t end, const RowCost& cost, std::size_t n) {
  const std::size_t rows = end - begin;
  const std::size_t threads = ring::thread_count();
  const std::size_t most = most_rows(cost, n, threads);
  // The same number of groups for each thread.
  const std::size_t rounds = (rows + most * threads - 1) / (most * threads);
  const std::size_t count = std::min(rows, rounds * threads);
  std::vector<RowGroup> groups;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = rows / count + (i < rows % count ? 1 : 0);
    groups.push_back({begin, begin + size});
    begin += size;
  }
  return groups;
}

Extension::Extension(const ring::BaseConverter& converter, const ring::RnsBasis& basis)
    : converter_(converter),
      n_(basis.n()),
      stride_(row_stride(n_)),
      piece_(piece_length(n_)),
      storage_((converter.sources().size() + 1) * stride_),
      v_(storage_.data() + converter.sources().size() * stride_),
      sources_(converter.sources().size()),
      ready_(n_ / piece_) {
  for (std::size_t i = 0; i <= source_count(); ++i) rows_.push_back(storage_.data() + i * stride_);
}

void Extension::put(std::size_t i, const u64* row) {
  converter_.scaled_inverse(storage_.data() + i * stride_, row, i);
  if (sources_.arrive()) compute_pieces();
}

void Extension::compute_pieces() const {
  for (std::size_t at = next_.fetch_add(piece_); at < n_; at = next_.fetch_add(piece_)) {
    converter_.quotient(v_, rows_.data(), at, piece_);
    ready_.arrive();
  }
}

void Extension::wait() const {
  sources_.wait();
  if (next_.load(std::memory_order_relaxed) < n_) compute_pieces();
  ready_.wait();
}

void Extension::take(u64* const* outs, const std::size_t* targets, std::size_t count) const {
  wait();
  converter_.convert(outs, targets, count, rows_.data());
}

void run_stages(std::size_t count, std::initializer_list<std::deque<Extension>*> waited,
                const std::function<void(std::size_t)>& task) {
  ring::parallel_for(count, [&](std::size_t i) {
    try {
      task(i);
    } catch (...) {
      for (std::deque<Extension>* extensions : waited) {
        for (Extension& extension : *extensions) extension.abandon();
      }
      throw;
    }
  });
}

}  // namespace hetorch::rlwe
