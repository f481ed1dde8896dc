// The operations of vec512.h lane by lane in plain C++, with the same bits, so that the AVX-512 kernels can be tested
// on any machine.
#pragma once

#include <array>
#include <cmath>
#include <cstring>

#include "kernels/api.h"

namespace hetorch::kernels {
namespace {

constexpr std::size_t kLanes = 8;

struct Vec {
  u64 lane[kLanes];
};

struct Real {
  double lane[kLanes];
};

template <class Result, class F>
inline Result each_lane(F&& f) {
  Result r;
  for (std::size_t i = 0; i < kLanes; ++i) r.lane[i] = f(i);
  return r;
}

inline Vec load(const u64* p) {
  return each_lane<Vec>([&](std::size_t i) { return p[i]; });
}
inline void store(u64* p, const Vec& x) {
  for (std::size_t i = 0; i < kLanes; ++i) p[i] = x.lane[i];
}
inline Vec broadcast(u64 x) {
  return each_lane<Vec>([&](std::size_t) { return x; });
}

inline Vec add(const Vec& a, const Vec& b) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] + b.lane[i]; });
}
inline Vec subtract(const Vec& a, const Vec& b) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] - b.lane[i]; });
}
inline Vec minimum(const Vec& a, const Vec& b) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Vec bit_and(const Vec& a, const Vec& b) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] & b.lane[i]; });
}
inline Vec add_where_above(const Vec& sum, const Vec& a, const Vec& bound, const Vec& term) {
  return each_lane<Vec>([&](std::size_t i) { return sum.lane[i] + (a.lane[i] > bound.lane[i] ? term.lane[i] : 0); });
}
inline Vec shift_right(const Vec& a, const Vec& count) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] >> count.lane[i]; });
}
inline Vec shift_left(const Vec& a, const Vec& count) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] << count.lane[i]; });
}
inline Vec shift_right_52(const Vec& a) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] >> 52; });
}

inline u128 product52(u64 a, u64 b) {
  constexpr u64 mask = (u64{1} << 52) - 1;
  return u128{a & mask} * (b & mask);
}
inline Vec multiply_low(const Vec& sum, const Vec& a, const Vec& b) {
  constexpr u64 mask = (u64{1} << 52) - 1;
  return each_lane<Vec>(
      [&](std::size_t i) { return sum.lane[i] + (static_cast<u64>(product52(a.lane[i], b.lane[i])) & mask); });
}
inline Vec multiply_high(const Vec& sum, const Vec& a, const Vec& b) {
  return each_lane<Vec>(
      [&](std::size_t i) { return sum.lane[i] + static_cast<u64>(product52(a.lane[i], b.lane[i]) >> 52); });
}

inline Vec multiply_word(const Vec& a, const Vec& b) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] * b.lane[i]; });
}

inline Vec shift_left(const Vec& a, int bits) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] << bits; });
}
inline Vec shift_right(const Vec& a, int bits) {
  return each_lane<Vec>([&](std::size_t i) { return a.lane[i] >> bits; });
}
template <int kBits>
inline Vec shift_left(const Vec& a) {
  return shift_left(a, kBits);
}
template <int kBits>
inline Vec shift_right(const Vec& a) {
  return shift_right(a, kBits);
}

inline Vec repeat2(const u64* p) {
  return each_lane<Vec>([&](std::size_t i) { return p[i % 2]; });
}
inline Vec repeat4(const u64* p) {
  return each_lane<Vec>([&](std::size_t i) { return p[i % 4]; });
}

inline Vec interleave_low(const Vec& x, const Vec& y) {
  return each_lane<Vec>([&](std::size_t i) { return i % 2 == 0 ? x.lane[i / 2] : y.lane[i / 2]; });
}
inline Vec interleave_high(const Vec& x, const Vec& y) {
  return each_lane<Vec>([&](std::size_t i) { return i % 2 == 0 ? x.lane[4 + i / 2] : y.lane[4 + i / 2]; });
}
inline Vec even_lanes(const Vec& x, const Vec& y) {
  return each_lane<Vec>([&](std::size_t i) { return i < 4 ? x.lane[2 * i] : y.lane[2 * i - 8]; });
}
inline Vec odd_lanes(const Vec& x, const Vec& y) {
  return each_lane<Vec>([&](std::size_t i) { return i < 4 ? x.lane[2 * i + 1] : y.lane[2 * i - 7]; });
}

inline Vec permute_lanes(const Vec& x, const std::uint32_t* index) {
  return each_lane<Vec>([&](std::size_t i) { return x.lane[index[i] % kLanes]; });
}

inline Vec load_bytes(const std::uint8_t* p) {
  Vec result;
  std::memcpy(&result, p, sizeof result);  // AddressSanitizer checks no __builtin_bit_cast of memory
  return result;
}
inline Vec permute_bytes(const Vec& x, const Vec& index) {
  using Bytes = std::array<std::uint8_t, 8 * kLanes>;
  const Bytes from = __builtin_bit_cast(Bytes, x);
  const Bytes where = __builtin_bit_cast(Bytes, index);
  Bytes result;
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = from[where[i] % 64];
  return __builtin_bit_cast(Vec, result);
}

inline Real load_reals(const double* p) {
  return each_lane<Real>([&](std::size_t i) { return p[i]; });
}
inline Vec to_signed_integer(const Real& a) {
  return each_lane<Vec>([&](std::size_t i) { return static_cast<u64>(static_cast<std::int64_t>(a.lane[i])); });
}
inline Vec bits_of_reals(const Real& a) {
  return each_lane<Vec>([&](std::size_t i) { return __builtin_bit_cast(u64, a.lane[i]); });
}
inline Real broadcast_real(double x) {
  return each_lane<Real>([&](std::size_t) { return x; });
}
inline Real to_real(const Vec& a) {
  return each_lane<Real>([&](std::size_t i) { return static_cast<double>(a.lane[i]); });
}
inline Real add(const Real& a, const Real& b) {
  return each_lane<Real>([&](std::size_t i) { return a.lane[i] + b.lane[i]; });
}
inline Real multiply(const Real& a, const Real& b) {
  return each_lane<Real>([&](std::size_t i) { return a.lane[i] * b.lane[i]; });
}
inline Vec floor_to_integer(const Real& a) {
  return each_lane<Vec>([&](std::size_t i) { return static_cast<u64>(std::floor(a.lane[i])); });
}

}  // namespace
}  // namespace hetorch::kernels
