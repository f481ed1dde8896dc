#include "ckks/sums.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "ckks/errors.h"
#include "ring/modulus.h"

namespace hetorch::ckks {
namespace {

// Level and number of parts of a sum.
struct Shape {
  std::size_t level;
  std::size_t parts;
};

// Return the shape of a sum over these ciphertexts. Throws unless all are of this context and have one scale.
Shape common_shape(const char* what, CiphertextRefs cts, const Context& context) {
  if (cts.empty()) throw std::invalid_argument(std::string(what) + " needs at least one ciphertext");
  Shape shape{context.max_level(), 2};
  for (const Ciphertext* ct : cts) {
    if (ct == nullptr) throw std::invalid_argument(std::string(what) + ": a ciphertext is None");
    for (const NttPoly& part : ct->body.parts) context.rlwe().check_data(part);
    if (std::fabs(ct->scale - cts[0]->scale) > kScaleTolerance * cts[0]->scale) {
      throw LevelError(std::string(what) + ": the scales differ, 2^" + std::to_string(std::log2(ct->scale)) +
                       " and 2^" + std::to_string(std::log2(cts[0]->scale)));
    }
    shape.level = std::min(shape.level, ct->level());
    shape.parts = std::max(shape.parts, ct->size());
  }
  return shape;
}

void check_scale(const char* what, double scale, std::size_t level, const Context& context) {
  if (!(scale > 0) || !std::isfinite(scale) || std::log2(scale) >= context.log2_modulus(level)) {
    throw LevelError(std::string(what) + ": the product would have scale 2^" + std::to_string(std::log2(scale)) +
                     ", the modulus at level " + std::to_string(level) + " has " +
                     std::to_string(context.log2_modulus(level)) + " bits; rescale first, or use smaller scales");
  }
}

// Accumulator of products with plaintexts, part by part. The first product of a part is written, the others are added.
class Products {
 public:
  Products(const Shape& shape, const ring::RnsBasis& basis)
      : basis_(basis), limbs_{shape.level + 1, 0}, parts_(shape.parts) {}

  void add(std::size_t part, const NttPoly& a, const NttPoly& b) {
    NttPoly& sum = parts_[part];
    if (sum.n() != 0) {
      ring::multiply_add(sum, a, b, basis_);
      return;
    }
    sum = NttPoly(basis_.n(), limbs_);
    ring::multiply(sum, a, b, basis_);
  }

  Ciphertext take(double scale) && { return {{rlwe::parts_of(std::move(parts_)), std::nullopt}, scale}; }

 private:
  const ring::RnsBasis& basis_;
  Limbs limbs_;
  std::vector<NttPoly> parts_;
};

// Return sum_i terms[i] * round(factors[i]) for at least one term, each with these limbs or more.
NttPoly weighted(std::span<const NttPoly* const> terms, std::span<const double> factors, Limbs limbs,
                 const ring::RnsBasis& basis) {
  constexpr std::size_t kAtOnce = 64;  // the limit of the kernel weighted_sum
  NttPoly sum(basis.n(), limbs);
  ring::parallel_rows(sum, [&](std::size_t r) {
    const kernels::Kernels& k = basis.kernels(r);
    const kernels::ModulusConstants& m = basis.modulus(r);
    if (terms.size() == 1) {
      k.multiply_scalar(sum.row(r), terms[0]->row(r), ring::residue_of_real(factors[0], m.q), sum.n(), m);
      return;
    }
    const kernels::u64* rows[kAtOnce];
    kernels::u64 residues[kAtOnce];
    for (std::size_t begin = 0; begin < terms.size(); begin += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, terms.size() - begin);
      for (std::size_t i = 0; i < count; ++i) {
        rows[i] = terms[begin + i]->row(r);
        residues[i] = ring::residue_of_real(factors[begin + i], m.q);
      }
      if (begin == 0) {
        k.weighted_sum(sum.row(r), rows, residues, count, sum.n(), m);
        continue;
      }
      ring::Buffer more(sum.n());
      k.weighted_sum(more.data(), rows, residues, count, sum.n(), m);
      k.add(sum.row(r), sum.row(r), more.data(), sum.n(), m);
    }
  });
  return sum;
}

// The same of ciphertexts, part by part.
Ciphertext weighted(CiphertextRefs cts, std::span<const double> factors, const Shape& shape, double scale,
                    const ring::RnsBasis& basis) {
  std::vector<NttPoly> parts;
  for (std::size_t p = 0; p < shape.parts; ++p) {
    std::vector<const NttPoly*> terms;
    std::vector<double> of_terms;
    for (std::size_t i = 0; i < cts.size(); ++i) {
      if (p >= cts[i]->size()) continue;
      terms.push_back(&*cts[i]->body.parts[p]);
      of_terms.push_back(factors[i]);
    }
    parts.push_back(weighted(terms, of_terms, {shape.level + 1, 0}, basis));
  }
  return {{rlwe::parts_of(std::move(parts)), std::nullopt}, scale};
}

}  // namespace

Ciphertext sum_of_values(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> values,
                         std::size_t period, double scale) {
  const Context& context = evaluator.context();
  const Shape shape = common_shape("a sum of values", cts, context);
  if (values.size() != period * cts.size()) throw std::invalid_argument("one row of values for each ciphertext");
  check_scale("a sum of values", cts[0]->scale * scale, shape.level, context);
  const Limbs limbs{shape.level + 1, 0};
  std::vector<NttPoly> encoded(cts.size());
  ring::parallel_for(cts.size(), [&](std::size_t i) {
    encoded[i] = context.encoder().encode_periodic(values.subspan(i * period, period), scale, limbs);
  });
  Products sums(shape, context.basis());
  for (std::size_t i = 0; i < cts.size(); ++i) {
    for (std::size_t p = 0; p < cts[i]->size(); ++p) sums.add(p, cts[i]->body.parts[p], encoded[i]);
  }
  return std::move(sums).take(cts[0]->scale * scale);
}

Ciphertext sum_of_weights(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> weights,
                          double scale) {
  const Context& context = evaluator.context();
  const Shape shape = common_shape("a weighted sum", cts, context);
  if (weights.size() != cts.size()) throw std::invalid_argument("one weight for each ciphertext");
  check_scale("a weighted sum", cts[0]->scale * scale, shape.level, context);
  for (double weight : weights) {
    // An encoded number must be below half of the modulus.
    if (!std::isfinite(weight) || std::log2(std::fabs(weight) * scale) >= context.log2_modulus(shape.level) - 1) {
      throw LevelError("a weight of " + std::to_string(weight) + " at scale 2^" + std::to_string(std::log2(scale)) +
                       " does not fit under the modulus");
    }
  }
  std::vector<double> factors;
  for (double weight : weights) factors.push_back(weight * scale);
  return weighted(cts, factors, shape, cts[0]->scale * scale, context.basis());
}

Ciphertext sum_of_integers(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> factors,
                           std::size_t level, double scale) {
  const Context& context = evaluator.context();
  Shape shape{level, 2};
  if (cts.empty() || factors.size() != cts.size()) throw std::invalid_argument("one factor for each ciphertext");
  for (std::size_t i = 0; i < cts.size(); ++i) {
    for (const NttPoly& part : cts[i]->body.parts) context.rlwe().check_data(part);
    if (cts[i]->level() < level) throw std::invalid_argument("a ciphertext of a sum is below its level");
    if (!std::isfinite(factors[i])) throw LevelError("a constant times its scale is beyond the range of doubles");
    shape.parts = std::max(shape.parts, cts[i]->size());
  }
  return weighted(cts, factors, shape, scale, context.basis());
}

Ciphertext sum_of_products(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b) {
  const Context& context = evaluator.context();
  const Shape left = common_shape("a sum of products", a, context);
  const Shape right = common_shape("a sum of products", b, context);
  if (a.size() != b.size()) throw std::invalid_argument("a sum of products takes as many right factors as left ones");
  const Shape shape{std::min(left.level, right.level), left.parts + right.parts - 1};
  if (shape.parts > kMostParts) {
    throw LevelError("a product would have " + std::to_string(shape.parts) + " parts, at most " +
                     std::to_string(kMostParts) + " are supported; relinearise first");
  }
  const double scale = a[0]->scale * b[0]->scale;
  check_scale("a sum of products", scale, shape.level, context);
  // The parts of a factor are coefficients of powers of s, so a product is one of polynomials in s. Words of a tile:
  // its sums stay in the first-level cache while the factors of all terms are read from memory once.
  constexpr std::size_t kTile = 512;
  const ring::RnsBasis& basis = context.basis();
  const std::size_t n = basis.n();
  std::vector<NttPoly> sums;
  for (std::size_t p = 0; p < shape.parts; ++p) sums.emplace_back(n, Limbs{shape.level + 1, 0});
  ring::parallel_rows(sums[0], [&](std::size_t r) {
    const kernels::Kernels& k = basis.kernels(r);
    const kernels::ModulusConstants& m = basis.modulus(r);
    for (std::size_t at = 0; at < n; at += kTile) {
      const std::size_t length = std::min(kTile, n - at);
      kernels::u64* tile[kMostParts];
      for (std::size_t p = 0; p < shape.parts; ++p) tile[p] = sums[p].row(r) + at;
      std::size_t begun = 0;  // number of parts that are written; the first product of a part is written, not added
      for (std::size_t i = 0; i < a.size(); ++i) {
        const auto& x = a[i]->body.parts;
        const auto& y = b[i]->body.parts;
        for (std::size_t j = 0; j < x.size(); ++j) {
          const kernels::u64* factor = x[j]->row(r) + at;
          for (std::size_t h = 0; h < y.size(); ++h) {
            const kernels::u64* other = y[h]->row(r) + at;
            if (j + h == begun) {
              k.multiply(tile[begun++], factor, other, length, m);
            } else if (j + h + 1 < begun && h + 1 < y.size()) {
              k.multiply_add_pair(tile[j + h], tile[j + h + 1], factor, other, y[h + 1]->row(r) + at, length, m);
              ++h;
            } else {
              k.multiply_add(tile[j + h], factor, other, length, m);
            }
          }
        }
      }
      // The longest factors of both sides need not be in one term: then the last parts are zero.
      for (; begun < shape.parts; ++begun) std::fill_n(tile[begun], length, 0);
    }
  });
  return {{rlwe::parts_of(std::move(sums)), std::nullopt}, scale};
}

Ciphertext add_values(const Evaluator& evaluator, const Ciphertext& ct, std::span<const double> values) {
  const Context& context = evaluator.context();
  for (const NttPoly& part : ct.body.parts) context.rlwe().check_data(part);
  NttPoly sum = context.encoder().encode_periodic(values, ct.scale, {ct.level() + 1, 0});
  ring::add(sum, sum, ct.body.parts[0], context.basis());
  Ciphertext result{{ct.body.parts, std::nullopt}, ct.scale};
  result.body.parts[0] = std::move(sum);
  return result;
}

}  // namespace hetorch::ckks
