// Primes, roots and residues for the kernel tests and benchmarks, computed by their definitions (with u128 and %).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "kernels/api.h"

namespace residues {

using hetorch::kernels::Kernels;
using hetorch::kernels::ModulusConstants;
using hetorch::kernels::Multiplier;
using hetorch::kernels::NttView;
using hetorch::kernels::u128;
using hetorch::kernels::u64;

inline u64 multiply(u64 a, u64 b, u64 q) { return static_cast<u64>(u128{a} * b % q); }

inline u64 power(u64 base, u64 exponent, u64 q) {
  u64 result = 1 % q;
  for (base %= q; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, base, q);
    base = multiply(base, base, q);
  }
  return result;
}

// Miller-Rabin with the first twelve primes as bases decides every number below 3.3e24.
inline bool is_prime(u64 n) {
  const u64 bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
  if (n < 2) return false;
  for (u64 b : bases) {
    if (n % b == 0) return n == b;
  }
  u64 odd = n - 1;
  int twos = 0;
  for (; odd % 2 == 0; odd /= 2) ++twos;
  for (u64 b : bases) {
    u64 x = power(b, odd, n);
    bool witness = x != 1 && x != n - 1;
    for (int i = 1; witness && i < twos; ++i) {
      x = multiply(x, x, n);
      witness = x != n - 1;
    }
    if (witness) return false;
  }
  return true;
}

// The largest prime below `bound` that is 1 mod 2n; 0 if there is none.
inline u64 prime_below(u64 bound, u64 n) {
  for (u64 q = (bound - 2) / (2 * n) * (2 * n) + 1; q > 2 * n; q -= 2 * n) {
    if (is_prime(q)) return q;
  }
  return 0;
}

// The smallest prime that is at least `bound` and 1 mod 2n.
inline u64 prime_from(u64 bound, u64 n) {
  u64 q = (bound - 1 + 2 * n - 1) / (2 * n) * (2 * n) + 1;
  while (!is_prime(q)) q += 2 * n;
  return q;
}

inline u64 bit_reverse(u64 x, u64 n) {
  u64 result = 0;
  for (u64 bit = 1; bit < n; bit *= 2) {
    result = 2 * result + (x & 1);
    x /= 2;
  }
  return result;
}

// A primitive 2n-th root of unity: psi^n = -1.
inline u64 primitive_root(u64 n, u64 q) {
  for (u64 g = 2;; ++g) {
    const u64 psi = power(g, (q - 1) / (2 * n), q);
    if (power(psi, n, q) == q - 1) return psi;
  }
}

struct FreeArray {
  void operator()(u64* p) const { std::free(p); }
};

// A 64-byte aligned array, as the kernels need it.
class Array {
 public:
  explicit Array(std::size_t n) : size_(n), data_(static_cast<u64*>(std::aligned_alloc(64, (n * 8 + 63) / 64 * 64))) {
    for (std::size_t i = 0; i < n; ++i) data_.get()[i] = 0;
  }
  Array(const Array& other) : Array(other.size_) {
    for (std::size_t i = 0; i < size_; ++i) data_.get()[i] = other.data_.get()[i];
  }
  Array(Array&&) = default;
  Array& operator=(Array&&) = default;
  Array& operator=(const Array& other) { return *this = Array(other); }
  u64* data() { return data_.get(); }
  const u64* data() const { return data_.get(); }
  u64& operator[](std::size_t i) { return data_.get()[i]; }
  const u64& operator[](std::size_t i) const { return data_.get()[i]; }
  std::size_t size() const { return size_; }
  bool operator==(const Array& other) const {
    if (size_ != other.size_) return false;
    for (std::size_t i = 0; i < size_; ++i) {
      if ((*this)[i] != other[i]) return false;
    }
    return true;
  }

 private:
  std::size_t size_;
  std::unique_ptr<u64, FreeArray> data_;
};

// splitmix64 (S. Vigna): a fixed stream for test inputs.
class Stream {
 public:
  explicit Stream(u64 seed) : state_(seed) {}
  u64 next() {
    u64 z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  u64 below(u64 bound) { return static_cast<u64>((u128{next()} * bound) >> 64); }

 private:
  u64 state_;
};

// Kinds of inputs in [0, bound): random ones, and ones at the ends or the middle of the range, where a lost carry or
// sign shows.
enum class Fill { kRandom, kLargest, kZero, kAlternating, kMiddle };
inline const std::vector<Fill>& all_fills() {
  static const std::vector<Fill> fills = {Fill::kRandom, Fill::kLargest, Fill::kZero, Fill::kAlternating,
                                          Fill::kMiddle};
  return fills;
}

inline Array filled(std::size_t n, u64 bound, Fill fill, Stream& stream) {
  Array a(n);
  for (std::size_t i = 0; i < n; ++i) {
    switch (fill) {
      case Fill::kRandom:
        a[i] = stream.below(bound);
        break;
      case Fill::kLargest:
        a[i] = bound - 1;
        break;
      case Fill::kZero:
        a[i] = 0;
        break;
      case Fill::kAlternating:
        a[i] = stream.below(2) == 0 ? 0 : bound - 1;
        break;
      case Fill::kMiddle:
        a[i] = bound / 2 + stream.below(2);
        break;
    }
  }
  return a;
}

// The transform's tables of one path for one prime.
class Tables {
 public:
  Tables(const Kernels& path, std::size_t n, u64 q)
      : modulus(hetorch::kernels::make_modulus_constants(q)),
        psi(primitive_root(n, q)),
        roots_(n),
        root_quotients_(n),
        inverse_roots_(n),
        inverse_root_quotients_(n) {
    const u64 psi_inverse = power(psi, q - 2, q);
    Array forward(n);
    Array inverse(n);
    forward[0] = inverse[0] = 1;
    for (std::size_t i = 1; i < n; ++i) {
      forward[i] = multiply(forward[i - 1], psi, q);
      inverse[i] = multiply(inverse[i - 1], psi_inverse, q);
    }
    for (std::size_t i = 0; i < n; ++i) {
      const Multiplier w = path.prepare(forward[bit_reverse(i, n)], modulus);
      const Multiplier v = path.prepare(inverse[bit_reverse(i, n)], modulus);
      roots_[i] = w.value;
      root_quotients_[i] = w.quotient;
      inverse_roots_[i] = v.value;
      inverse_root_quotients_[i] = v.quotient;
    }
    const u64 n_inverse = power(n, q - 2, q);
    view.n = n;
    view.modulus = modulus;
    view.roots = roots_.data();
    view.root_quotients = root_quotients_.data();
    view.inverse_roots = inverse_roots_.data();
    view.inverse_root_quotients = inverse_root_quotients_.data();
    view.n_inverse = path.prepare(n_inverse, modulus);
    view.n_inverse_root = path.prepare(multiply(n_inverse, inverse[n / 2], q), modulus);
  }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  ModulusConstants modulus;
  u64 psi;
  NttView view;

 private:
  Array roots_;
  Array root_quotients_;
  Array inverse_roots_;
  Array inverse_root_quotients_;
};

// All paths that this machine can run but the portable one.
inline std::vector<const Kernels*> fast_paths() {
  std::vector<const Kernels*> paths;
  for (const Kernels* path :
       {hetorch::kernels::avx2(), hetorch::kernels::avx512ifma(), hetorch::kernels::avx512ifma_emulated(),
        hetorch::kernels::avx512wide(), hetorch::kernels::avx512wide_emulated()}) {
    if (path != nullptr) paths.push_back(path);
  }
  return paths;
}

inline std::string describe(const char* what, const char* path, u64 q, std::size_t n) {
  return std::string(what) + " " + path + " q=" + std::to_string(q) + " n=" + std::to_string(n);
}

}  // namespace residues
