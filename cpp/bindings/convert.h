// Conversions between Python objects and types of the core, for both modules.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <complex>

#include "codec/objects.h"

namespace hetorch::bindings {

namespace nb = nanobind;
using namespace nb::literals;

using ContextPtr = std::shared_ptr<const ckks::Context>;
// Python callables that make bytes: expand(seed, index, length) returns bytes; draw(index, length) returns bytes or an
// iterator of bytes.
using ExpanderCallable = nb::typed<nb::callable, nb::bytes(nb::bytes, std::size_t, std::size_t)>;
using SourceCallable = nb::typed<nb::callable, nb::object(std::size_t, std::size_t)>;
using RealArray = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using IntArray = nb::ndarray<const std::int64_t, nb::c_contig, nb::device::cpu>;

// Memory of Python's that a function reads, or writes: bytes, a bytearray, a part of them.
template <class Byte>
struct Memory : nb::ndarray<Byte, nb::ndim<1>, nb::c_contig, nb::device::cpu> {
  using Array = nb::ndarray<Byte, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
  Memory() = default;
  explicit Memory(Array array) : Array(std::move(array)) {}
};
using ReadMemory = Memory<const std::uint8_t>;
using WrittenMemory = Memory<std::uint8_t>;

using ComplexArray = nb::ndarray<const std::complex<double>, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The shape of a family of switching keys: its number of special primes and its digit size. None is the main family.
using Shape = std::optional<std::pair<std::size_t, std::size_t>>;

inline const rlwe::KeyFamily& family_of(const ckks::Context& context, const Shape& shape) {
  return shape ? context.rlwe().family({shape->first, shape->second}) : context.rlwe().main();
}

inline std::span<const std::uint8_t> view(const nb::bytes& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.c_str()), bytes.size()};
}

template <class Byte>
std::span<Byte> view(const Memory<Byte>& memory) {
  return {memory.data(), memory.size()};
}

inline nb::bytes to_bytes(const std::vector<std::uint8_t>& bytes) {
  return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

inline rlwe::Seed to_seed(const nb::bytes& bytes) {
  rlwe::Seed seed;
  if (bytes.size() != seed.size()) throw std::invalid_argument("a seed has 32 bytes");
  std::memcpy(seed.data(), bytes.c_str(), seed.size());
  return seed;
}

// Wrap a Python callable (seed, index, length) -> bytes. It is called with the GIL, from code that may have released
// it.
inline codec::Expander to_expander(nb::callable expand) {
  return [expand](const rlwe::Seed& seed, std::size_t index, std::size_t length) {
    nb::gil_scoped_acquire acquire;
    const nb::bytes result =
        nb::cast<nb::bytes>(expand(nb::bytes(reinterpret_cast<const char*>(seed.data()), seed.size()), index, length));
    const std::span<const std::uint8_t> bytes = view(result);
    return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
  };
}

// Return a numpy array that takes over the vector's memory.
template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> to_array(std::vector<T> values) {
  auto* held = new std::vector<T>(std::move(values));
  nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::ndim<1>>(held->data(), {held->size()}, owner);
}

// Return a numpy array of blocks of `degree` numbers, whose memory the caller fills: (count, degree) int64.
using BlockArray = nb::ndarray<nb::numpy, std::int64_t, nb::ndim<2>>;
inline BlockArray new_blocks(std::size_t count, std::size_t degree) {
  auto* words = new std::int64_t[count * degree];
  nb::capsule owner(words, [](void* p) noexcept { delete[] static_cast<std::int64_t*>(p); });
  return BlockArray(words, {count, degree}, owner);
}

}  // namespace hetorch::bindings

namespace nanobind::detail {

template <class Byte>
struct type_caster<hetorch::bindings::Memory<Byte>> {
  using Memory = hetorch::bindings::Memory<Byte>;
  NB_TYPE_CASTER(Memory, const_name<std::is_const_v<Byte>>("bytes | bytearray | memoryview", "bytearray | memoryview"))

  bool from_python(handle source, std::uint8_t flags, cleanup_list* cleanup) noexcept {
    make_caster<typename Memory::Array> array;
    if (!array.from_python(source, flags, cleanup)) return false;
    value = Memory(array.value);
    return true;
  }
};

}  // namespace nanobind::detail
