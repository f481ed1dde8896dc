// The primes of a ring: the data chain q_0…q_L followed by the special primes, with their tables.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ring/ntt_tables.h"
#include "ring/platform.h"

namespace hetorch::ring {

// Which residues a polynomial holds: the first `data` primes of the chain and the first `special` special primes.
struct Limbs {
  std::size_t data = 0;
  std::size_t special = 0;
  std::size_t count() const { return data + special; }
  bool operator==(const Limbs&) const = default;
};

class RnsBasis {
 public:
  // n a power of two, 16..2^17; primes distinct, = 1 mod 2n, below 2^60. Throws std::invalid_argument otherwise.
  RnsBasis(std::size_t n, const std::vector<std::uint64_t>& data, const std::vector<std::uint64_t>& special);

  std::size_t n() const { return n_; }
  std::size_t data_count() const { return data_count_; }
  std::size_t special_count() const { return tables_.size() - data_count_; }
  // The fastest path for the prime of this index. Primes above 2^50 may take another path than their neighbours, so
  // every row is worked on by the path of its own prime; what a path prepared (the tables) stays with it.
  const kernels::Kernels& kernels(std::size_t index) const { return *kernels_[index]; }

  // The names of the paths in use, that of q_0 first, joined by '+'.
  std::string kernel_path() const;

  // Index into all primes of row `row` of a polynomial with these limbs.
  std::size_t index(const Limbs& limbs, std::size_t row) const {
    return row < limbs.data ? row : data_count_ + (row - limbs.data);
  }
  const kernels::NttView& table(std::size_t index) const { return tables_[index]->view(); }
  const kernels::ModulusConstants& modulus(std::size_t index) const { return tables_[index]->modulus(); }
  std::uint64_t prime(std::size_t index) const { return modulus(index).q; }

  // out[i] = in[permutation[i]] applies X -> X^element to a polynomial in the NTT domain. element odd, below 2n.
  // Made at the first use and kept; safe from many threads.
  const std::uint32_t* permutation(std::uint32_t element) const;

 private:
  std::size_t n_;
  std::size_t data_count_;
  std::vector<const kernels::Kernels*> kernels_;
  std::vector<std::unique_ptr<NttTables>> tables_;
  mutable platform::Mutex mutex_;
  mutable std::map<std::uint32_t, std::vector<std::uint32_t>> permutations_;
};

}  // namespace hetorch::ring
