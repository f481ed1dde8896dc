#include "circuits/polynomial.h"

#include <bit>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "ckks/errors.h"
#include "ckks/sums.h"

namespace hetorch::circuits {
namespace {

using ckks::Ciphertext;
using ckks::Evaluator;
using ckks::LevelError;
using Coefficients = std::span<const double>;

std::size_t true_degree(Coefficients c) {
  std::size_t degree = c.size() - 1;
  while (degree > 0 && c[degree] == 0) --degree;
  return degree;
}

// Evaluates Chebyshev series in one x, with the basis polynomials T_i(x) that they share.
class ChebyshevSeries {
 public:
  // baby_limit_: series of a lower degree are summed from their basis polynomials, if the levels allow it. About the
  // square root of the degree balances the products for the basis with those of the splits.
  ChebyshevSeries(const Evaluator& evaluator, const Ciphertext& x, std::size_t depth)
      : evaluator_(evaluator), top_(x.level()), baby_limit_(std::size_t{1} << ((depth + 1) / 2)) {
    basis_.emplace(1, x);
  }

  // Evaluate a series of degree 1 or more to exactly this level and scale.
  Ciphertext evaluate(Coefficients c, std::size_t level, double scale) {
    Ciphertext result = evaluator_.relinearise_rescale(sum(c, level, scale));
    result.scale = scale;  // exact by construction; the product of doubles may differ in its last bit
    return result;
  }

 private:
  // The level of T_i: ceil(log2(i)) below that of x.
  std::size_t level_of(std::size_t i) const { return top_ - static_cast<std::size_t>(std::bit_width(i - 1)); }

  bool is_leaf(Coefficients c, std::size_t level) const {
    if (c.size() > baby_limit_ && c.size() > 2) return false;
    for (std::size_t i = 1; i < c.size(); ++i) {
      if (c[i] != 0 && level_of(i) < level + 1) return false;
    }
    return true;
  }

  double product_scale(std::size_t level, double scale) const { return scale * evaluator_.context().prime(level + 1); }

  // The series before evaluate() divides it by q_(level+1). All its products have one level and scale, so they are
  // added as they are, with three parts, and relinearised once.
  Ciphertext sum(Coefficients c, std::size_t level, double scale) {
    const std::size_t degree = true_degree(c);
    c = c.first(degree + 1);
    if (is_leaf(c, level)) return leaf(c, level, scale);

    // c = quotient * T_m + remainder. As the degree is below 2m, the constant term belongs to the remainder.
    const std::size_t m = std::bit_floor(degree);
    std::vector<double> quotient(degree - m + 1);
    std::vector<double> remainder(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(m));
    quotient[0] = c[m];
    for (std::size_t j = 1; m + j <= degree; ++j) {
      quotient[j] = 2 * c[m + j];
      remainder[m - j] -= c[m + j];
    }
    const Ciphertext& giant = basis(m);
    const double total = product_scale(level, scale);
    Ciphertext product = true_degree(quotient) == 0
                             ? times(giant, quotient[0] * (total / giant.scale), level + 1, total)
                             : evaluator_.multiply_raw(evaluate(quotient, level + 1, total / giant.scale), giant);
    product.scale = total;
    return true_degree(remainder) == 0 ? evaluator_.add(product, remainder[0])
                                       : evaluator_.add(product, sum(remainder, level, scale));
  }

  Ciphertext times(const Ciphertext& a, double factor, std::size_t level, double scale) const {
    const Ciphertext* const terms[] = {&a};
    return ckks::sum_of_integers(evaluator_, terms, std::span(&factor, 1), level, scale);
  }

  // The same for a series that is summed from its basis polynomials.
  Ciphertext leaf(Coefficients c, std::size_t level, double scale) {
    const double total = product_scale(level, scale);
    std::vector<const Ciphertext*> terms;
    std::vector<double> factors;
    for (std::size_t i = 1; i < c.size(); ++i) {
      if (c[i] == 0) continue;
      terms.push_back(&basis(i));
      factors.push_back(c[i] * (total / terms.back()->scale));
    }
    return evaluator_.add(ckks::sum_of_integers(evaluator_, terms, factors, level + 1, total), c[0]);
  }

  // Return T_i = 2 T_a T_b - T_(a-b) with a = ceil(i/2), b = floor(i/2); it is computed at its first use.
  const Ciphertext& basis(std::size_t i) {
    const auto known = basis_.find(i);
    if (known != basis_.end()) return known->second;
    const std::size_t b = i / 2;
    const std::size_t a = i - b;
    const Ciphertext& ta = basis(a);
    Ciphertext twice;
    if (a == b) {
      twice = evaluator_.add(evaluator_.multiply_raw(evaluator_.add(ta, ta), ta), -1.0);
    } else {
      const Ciphertext product = evaluator_.multiply_raw(ta, basis(b));
      const Ciphertext& x = basis(1);
      const Ciphertext* const terms[] = {&product, &x};
      const double factors[] = {2, -(product.scale / x.scale)};
      twice = ckks::sum_of_integers(evaluator_, terms, factors, product.level(), product.scale);
    }
    return basis_.emplace(i, evaluator_.relinearise_rescale(twice)).first->second;
  }

  const Evaluator& evaluator_;
  std::size_t top_;
  std::size_t baby_limit_;
  std::map<std::size_t, Ciphertext> basis_;
};

}  // namespace

std::size_t polynomial_depth(std::size_t degree) { return static_cast<std::size_t>(std::bit_width(degree)); }

Ciphertext evaluate_chebyshev(const Evaluator& evaluator, const Ciphertext& x, Coefficients coefficients,
                              double output_scale) {
  if (coefficients.size() < 2) throw std::invalid_argument("a polynomial needs degree 1 or more");
  for (double c : coefficients) {
    if (!std::isfinite(c)) throw std::invalid_argument("a polynomial coefficient is not finite");
  }
  const std::size_t depth = polynomial_depth(coefficients.size() - 1);
  if (x.level() < depth) {
    throw LevelError("a polynomial of degree " + std::to_string(coefficients.size() - 1) + " takes " +
                     std::to_string(depth) + " levels, the ciphertext is at level " + std::to_string(x.level()));
  }
  if (!(output_scale > 0) || !std::isfinite(output_scale)) throw LevelError("output_scale must be above 0 and finite");
  const std::size_t level = x.level() - depth;
  // |c_i| <= 2 max |p| on [-1, 1], so with too large a coefficient some value is beyond the modulus of the last level.
  double largest = 0;
  for (double c : coefficients) largest = std::fmax(largest, std::fabs(c));
  const double log2_q = evaluator.context().log2_modulus(level);
  if (largest > 0 && std::log2(largest) + std::log2(output_scale) >= log2_q) {
    throw LevelError("the polynomial's values times the scale need " +
                     std::to_string(std::log2(largest) + std::log2(output_scale)) + " bits, the modulus at level " +
                     std::to_string(level) + " has " + std::to_string(log2_q) +
                     ": use a smaller scale or a higher level");
  }
  if (true_degree(coefficients) == 0) {  // a constant takes as many levels: 0 * x + c
    Ciphertext zero = evaluator.subtract(x, x);
    zero = evaluator.drop_level(zero, level);
    zero.scale = output_scale;
    return evaluator.add(zero, coefficients[0]);
  }
  return ChebyshevSeries(evaluator, x, depth).evaluate(coefficients, level, output_scale);
}

}  // namespace hetorch::circuits
