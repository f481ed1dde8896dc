// Maps of raised polynomials: they switch from the sparse secret to the dense one, rotate and multiply at once.
#include <cmath>

#include "circuits/baby_step.h"
#include "ckks/errors.h"
#include "rlwe/raise.h"

namespace hetorch::circuits {

using ckks::Ciphertext;
using ring::NttPoly;

// With the key (b, a) of a step g and the pair (c_0, c_1) under the sparse secret, (W c_0 + c_1 b, c_1 a) is W times
// the message under g^-1 of the dense secret, W = P / p. The automorphism g makes it the rotation under the dense one,
// the diagonal multiplies it by p, and the division by P leaves the message.
Ciphertext LinearTransform::apply_raised(const ckks::Evaluator& evaluator, const Ciphertext& raised) const {
  const ckks::Context& context = evaluator.context();
  const rlwe::KeyFamily& family = context.rlwe().family(shape_);
  const ring::RnsBasis& basis = context.basis();
  if (basis.n() != ring_degree_ || limbs_ != context.rlwe().all_limbs() || limbs_ != family.extended_limbs(level_)) {
    throw std::invalid_argument("the transform was prepared under other parameters");
  }
  if (raised.size() != 2 || std::fabs(raised.scale - input_scale_) > ckks::kScaleTolerance * input_scale_) {
    throw ckks::LevelError("the transform takes two parts at another scale");
  }
  for (const NttPoly& part : raised.body.parts) {
    context.rlwe().check(part);
    if (part.limbs() != limbs_)
      throw ckks::LevelError("the transform takes a polynomial that was raised to all primes");
  }
  const NttPoly& first = *raised.body.parts[0];
  const std::vector<std::uint64_t> factors = rlwe::scaled_factors(context.rlwe());
  NttPoly scaled(basis.n(), limbs_);
  ring::parallel_rows(scaled, [&](std::size_t r) {
    basis.kernels(r).multiply_scalar(scaled.row(r), first.row(r), factors[r], basis.n(), basis.modulus(r));
  });
  const rlwe::Digits digits(*raised.body.parts[1]);
  std::vector<Step> steps;
  for (const Rotated& rotated : rotated_) {
    const std::uint32_t element = evaluator.galois_element(static_cast<std::int64_t>(rotated.baby));
    const rlwe::KeyName name{rlwe::KeyEnd::sparse_scaled, rlwe::KeyEnd::dense, element};
    const rlwe::SwitchingKey& key = evaluator.key(name, level_);
    if (key.shape() != shape_) throw std::invalid_argument("a key of one digit was made for another family");
    key.family(context.rlwe());  // refuses a key of another ring
    steps.push_back({nullptr, &digits, &scaled, &key, basis.permutation(element)});
  }
  std::vector<Pair> sums = accumulate(steps, context);
  const NttPoly* const halves[] = {&sums[0][0], &sums[0][1]};
  Ciphertext result;
  result.scale = output_scale_;
  result.body.parts = rlwe::parts_of(rlwe::divide(halves, rlwe::special_divisor(level_, family), basis));
  return result;
}

}  // namespace hetorch::circuits
