#include "rlwe/extension.h"

#include <algorithm>

namespace hetorch::rlwe {

using kernels::u64;

std::vector<RowGroup> row_groups(std::size_t begin, std::size_t end, std::size_t scratch_rows, std::size_t n) {
  constexpr std::size_t kCacheWords = (std::size_t{1} << 20) / 8;
  const std::size_t fitting = kCacheWords / (scratch_rows * n);
  const std::size_t most = fitting == 0 ? kMostGroupRows : std::clamp(fitting, std::size_t{2}, kMostGroupRows);
  const std::size_t rows = end - begin;
  const std::size_t threads = ring::thread_count();
  // As many groups for every thread, all of nearly the same size.
  const std::size_t rounds = (rows + most * threads - 1) / (most * threads);
  const std::size_t count = std::min(rows, rounds * threads);
  std::vector<RowGroup> groups;
  for (std::size_t i = 0; i < count; ++i) {
    groups.push_back({begin + i * rows / count, begin + (i + 1) * rows / count});
  }
  return groups;
}

Extension::Extension(const ring::BaseConverter& converter, const ring::RnsBasis& basis)
    : converter_(converter),
      stride_(row_stride(basis.n())),
      storage_((converter.sources().size() + 1) * stride_),
      sources_(converter.sources().size()),
      ready_(1) {
  for (std::size_t i = 0; i <= source_count(); ++i) rows_.push_back(storage_.data() + i * stride_);
}

void Extension::put(std::size_t i, const u64* row) {
  converter_.scaled_inverse(storage_.data() + i * stride_, row, i);
  if (!sources_.arrive()) return;
  converter_.quotient(storage_.data() + source_count() * stride_, rows_.data());
  ready_.arrive();
}

void Extension::take(u64* const* outs, const std::size_t* targets, std::size_t count) const {
  ready_.wait();
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
