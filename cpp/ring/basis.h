// The RNS basis of a ring: the primes of the modulus chain q_0…q_L followed by the special primes, with their tables.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ring/ntt_tables.h"
#include "ring/platform.h"

namespace hetorch::ring {

// The primes modulo which a polynomial has residues: the first `data` of the chain and the first `special` special
// ones.
struct Limbs {
  std::size_t data = 0;
  std::size_t special = 0;
  std::size_t count() const { return data + special; }
  bool operator==(const Limbs&) const = default;
};

class RnsBasis {
 public:
  // n: a power of two from 16 to 2^17. data, special: distinct primes below 2^60, each 1 modulo 2n; at most 64 in all.
  // Throws std::invalid_argument otherwise.
  RnsBasis(std::size_t n, const std::vector<std::uint64_t>& data, const std::vector<std::uint64_t>& special);

  std::size_t n() const { return n_; }
  std::size_t data_count() const { return data_count_; }
  std::size_t special_count() const { return tables_.size() - data_count_; }
  // The fastest kernel path for the prime of this index. Primes above 2^50 may take another path than their neighbours,
  // so each row must be worked on by the path of its own prime, with the tables that this path prepared.
  const kernels::Kernels& kernels(std::size_t index) const { return *kernels_[index]; }

  // The names of all paths in use, joined by '+'; the path of q_0 comes first.
  std::string kernel_path() const;

  // The index among all primes of the prime of row `row`, in a polynomial with these limbs.
  std::size_t index(const Limbs& limbs, std::size_t row) const {
    return row < limbs.data ? row : data_count_ + (row - limbs.data);
  }
  const kernels::NttView& table(std::size_t index) const { return tables_[index]->view(); }
  const kernels::ModulusConstants& modulus(std::size_t index) const { return tables_[index]->modulus(); }
  std::uint64_t prime(std::size_t index) const { return modulus(index).q; }

  // Return the permutation with which out[i] = in[permutation[i]] applies X -> X^element to a polynomial in the NTT
  // domain; element is odd and below 2n. It is computed at its first use and kept. Many threads may call this.
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
