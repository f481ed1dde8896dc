// The Python module hetorch.engine._native: all that a server may do. It has no secret key and no decryption.
#include "bindings/native/module.h"

#include "kernels/api.h"
#include "ring/buffer.h"
#include "ring/parallel.h"

namespace hetorch::bindings {
namespace {

std::vector<std::string> kernel_paths() {
  std::vector<std::string> names{kernels::portable().name};
  for (const kernels::Kernels* path : {kernels::avx2(), kernels::avx512ifma()}) {
    if (path != nullptr) names.emplace_back(path->name);
  }
  return names;
}

nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>> pool_memory(std::size_t size) {
  auto* buffer = new ring::Buffer((size + 7) / 8);
  nb::capsule owner(buffer, [](void* p) noexcept { delete static_cast<ring::Buffer*>(p); });
  return {buffer->data(), {size}, owner};
}

}  // namespace
}  // namespace hetorch::bindings

NB_MODULE(_native, m) {
  using namespace hetorch::bindings;
  using hetorch::ring::PoolStatistics;
  m.doc() = "The CKKS core without secret keys.";
  bind_errors();
  bind_objects(m);
  bind_rows(m);
  bind_evaluator(m);
  bind_bootstrap(m);
  bind_codec(m);
  bind_blocks(m);
  nb::class_<PoolStatistics>(m, "PoolStatistics")
      .def_ro("in_use", &PoolStatistics::in_use, "Bytes of all buffers of ring elements that exist.")
      .def_ro("peak", &PoolStatistics::peak, "The most that in_use was since reset_pool_peak().")
      .def_ro("held", &PoolStatistics::held, "Bytes of free memory that the pool keeps for later.");
  m.def("pool_statistics", &hetorch::ring::pool_statistics);
  m.def("reset_pool_peak", &hetorch::ring::reset_pool_peak);
  m.def("trim_pool", &hetorch::ring::trim_pool, "Give the free memory that the pool keeps back to the system.");
  m.def(
      "pool_memory", &pool_memory, "size"_a,
      "Return memory of the pool, with unspecified contents. It goes back when nothing refers to it, so secrets in it "
      "are overwritten before.");
  m.def("thread_count", &hetorch::ring::thread_count,
        "Return the number of threads that work on an operation in this process.");
  m.def("kernel_paths", &kernel_paths,
        "Return the names of the kernel paths that this machine can run, from the slowest to the fastest.");
  m.def(
      "selected_kernel_path", [] { return std::string(hetorch::kernels::select(std::uint64_t{1} << 49).name); },
      "Return the name of the kernel path that primes below 2^50 take in this process.");
}
