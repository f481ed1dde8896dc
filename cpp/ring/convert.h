// Base conversion: from the residues of a centred number modulo some primes to its residues modulo others.
#pragma once

#include <vector>

#include "ring/basis.h"

namespace hetorch::ring {

// The conversion from the source primes (indices into the basis, product Q) to any other prime of the basis. With
// y_i = x * (Q/q_i)^-1 mod q_i and v = floor(1/2 + sum y_i / q_i), the number sum y_i * (Q/q_i) - v * Q is the
// representative of x in [-Q/2, Q/2) (Halevi, Polyakov, Shoup 2019, eprint 2018/117, section 2.2). Because v is rounded
// in double precision, a number within 2^-45 * Q of the border may come out on its other side, changed by Q: this is
// harmless for digits (zero modulo Q), and an error of one unit for divisions.
class BaseConverter {
 public:
  BaseConverter(const RnsBasis& basis, std::vector<std::size_t> sources);

  const std::vector<std::size_t>& sources() const { return sources_; }

  // out = y_i, as coefficients, from `row`, the transform of x modulo source i; out may be `row`.
  void scaled_inverse(std::uint64_t* out, const std::uint64_t* row, std::size_t i) const;
  // Compute words [begin, begin + length) of v from those of all the y_i. With one source, y_0 is x itself and nothing
  // is written: convert() then centres by a comparison, which is exact.
  void quotient(std::uint64_t* v, const std::uint64_t* const* y, std::size_t begin, std::size_t length) const;
  // outs[t] = coefficients of the centred number modulo prime targets[t], t < count; no target is a source. y_and_v:
  // the y_i followed by v.
  void convert(std::uint64_t* const* outs, const std::size_t* targets, std::size_t count,
               const std::uint64_t* const* y_and_v) const;
  // Q^-1 modulo a prime that is not a source.
  std::uint64_t inverse_product(std::size_t target) const { return inverse_products_[target]; }
  // Q modulo any prime (0 for a source).
  std::uint64_t product(std::size_t target) const { return products_[target]; }

 private:
  // The conversion to one target that needs some of the sources reduced first (wide_).
  void convert_one(std::uint64_t* out, std::size_t target, const std::uint64_t* const* y_and_v) const;

  const RnsBasis& basis_;
  std::vector<std::size_t> sources_;
  std::vector<std::uint64_t> inverse_hats_;          // (Q/q_i)^-1 mod q_i for each source
  std::vector<double> inverses_;                     // 1/q_i for each source
  std::vector<std::vector<std::uint64_t>> weights_;  // for each prime of the basis: Q/q_i for every source, then -Q
  // For each prime of the basis: the sources whose residues are too wide for that prime's kernels.
  std::vector<std::vector<std::size_t>> wide_;
  const kernels::Kernels* quotient_kernels_;  // a path that takes the residues of every source
  std::vector<std::uint64_t> products_;
  std::vector<std::uint64_t> inverse_products_;
};

}  // namespace hetorch::ring
