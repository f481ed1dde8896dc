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
using ComplexArray = nb::ndarray<const std::complex<double>, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// The shape of a family of switching keys: its number of special primes and its digit size. None is the main family.
using Shape = std::optional<std::pair<std::size_t, std::size_t>>;

inline const rlwe::KeyFamily& family_of(const ckks::Context& context, const Shape& shape) {
  return shape ? context.rlwe().family({shape->first, shape->second}) : context.rlwe().main();
}

inline std::span<const std::uint8_t> view(const nb::bytes& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.c_str()), bytes.size()};
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

}  // namespace hetorch::bindings
