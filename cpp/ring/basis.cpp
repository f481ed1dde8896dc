#include "ring/basis.h"

#include <algorithm>
#include <bit>
#include <set>
#include <stdexcept>
#include <string>

#include "ring/modulus.h"
#include "ring/parallel.h"

namespace hetorch::ring {

RnsBasis::RnsBasis(std::size_t n, const std::vector<u64>& data, const std::vector<u64>& special)
    : n_(n), data_count_(data.size()) {
  if (!std::has_single_bit(n) || n < 16 || n > (std::size_t{1} << 17)) {
    throw std::invalid_argument("ring_degree is " + std::to_string(n) + ", expected a power of two from 16 to 131072");
  }
  if (data.empty()) throw std::invalid_argument("modulus_chain is empty");
  std::vector<u64> primes = data;
  primes.insert(primes.end(), special.begin(), special.end());
  if (primes.size() > 64) throw std::invalid_argument("more than 64 primes");
  std::set<u64> seen;
  for (u64 q : primes) {
    if (q >> 60 || q % (2 * n) != 1 || !is_prime(q)) {
      throw std::invalid_argument(std::to_string(q) + " is not a prime below 2^60 that is 1 modulo " +
                                  std::to_string(2 * n));
    }
    if (!seen.insert(q).second) throw std::invalid_argument("prime " + std::to_string(q) + " occurs twice");
  }
  for (u64 q : primes) kernels_.push_back(&kernels::select(q));
  tables_.resize(primes.size());
  parallel_for(primes.size(),
               [&](std::size_t i) { tables_[i] = std::make_unique<NttTables>(n, primes[i], *kernels_[i]); });
}

std::string RnsBasis::kernel_path() const {
  std::vector<std::string> names;
  for (const kernels::Kernels* path : kernels_) {
    if (std::find(names.begin(), names.end(), path->name) == names.end()) names.emplace_back(path->name);
  }
  std::string joined = names[0];
  for (std::size_t i = 1; i < names.size(); ++i) joined += "+" + names[i];
  return joined;
}

const std::uint32_t* RnsBasis::permutation(std::uint32_t element) const {
  platform::Lock lock(mutex_);
  std::vector<std::uint32_t>& index = permutations_[element];
  if (index.empty()) {
    // Position i of the transform holds the value at psi^(2 bitrev(i) + 1); the automorphism multiplies the exponent by
    // `element`.
    const int bits = std::countr_zero(n_);
    const std::uint64_t mask = 2 * n_ - 1;
    std::vector<std::uint32_t> permutation(n_);
    for (std::size_t i = 0; i < n_; ++i) {
      const std::uint64_t exponent =
          (2 * std::uint64_t{reverse_bits(static_cast<std::uint32_t>(i), bits)} + 1) * element & mask;
      permutation[i] = reverse_bits(static_cast<std::uint32_t>((exponent - 1) >> 1), bits);
    }
    index = std::move(permutation);
  }
  return index.data();
}

}  // namespace hetorch::ring
