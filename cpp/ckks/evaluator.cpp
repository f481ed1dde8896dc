#include "ckks/evaluator.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include "ckks/errors.h"
#include "ckks/sums.h"
#include "ring/modulus.h"
#include "rlwe/key_switch.h"

namespace hetorch::ckks {
namespace {

using ring::NttPoly;
using ring::u64;

void check_scales(const char* what, double a, double b) {
  if (std::fabs(a - b) > kScaleTolerance * std::fmax(a, b)) {
    throw LevelError(std::string(what) + ": the scales differ, 2^" + std::to_string(std::log2(a)) + " and 2^" +
                     std::to_string(std::log2(b)) + "; rescale or encode at the other scale");
  }
}

// At a scale above the whole modulus the message is lost, and decryption would return noise.
void check_product_scale(const char* what, double scale, std::size_t level, const Context& context) {
  if (std::log2(scale) >= context.log2_modulus(level)) {
    throw LevelError(std::string(what) + ": the product would have scale 2^" + std::to_string(std::log2(scale)) +
                     ", the modulus at level " + std::to_string(level) + " has " +
                     std::to_string(context.log2_modulus(level)) + " bits; rescale first, or use smaller scales");
  }
}

// A finite number of any size has residues; infinity and NaN have none.
void check_constant(double value) {
  if (!std::isfinite(value)) throw LevelError("a constant times its scale is beyond the range of doubles");
}

void check_two_parts(const char* what, const Ciphertext& a) {
  if (a.size() != 2) throw LevelError(std::string(what) + " takes a relinearised ciphertext of two parts");
}

void check(const Ciphertext& a, const Context& context) {
  for (const NttPoly& part : a.body.parts) context.rlwe().check_data(part);
}

std::string describe(const rlwe::KeyName& name) {
  if (name == rlwe::kRelinearisation) return "relinearisation";
  if (name.from > rlwe::KeyEnd::dense_squared || name.to > rlwe::KeyEnd::dense_squared)
    return "a switch to or from the sparse key";
  return "rotation by Galois element " + std::to_string(name.element);
}

Ciphertext of_pair(std::array<NttPoly, 2>&& pair, double scale) {
  Ciphertext result;
  result.scale = scale;
  for (NttPoly& part : pair) result.body.parts.push_back(std::move(part));
  return result;
}

}  // namespace

// A data prime has the same row at every level, so a sum at the lower level reads the first rows of both operands.
Ciphertext Evaluator::add(const Ciphertext& a, const Ciphertext& b) const {
  check(a, context_);
  check(b, context_);
  check_scales("add", a.scale, b.scale);
  const Ciphertext& longer = a.size() >= b.size() ? a : b;
  const std::size_t data = std::min(a.level(), b.level()) + 1;
  Ciphertext result;
  result.scale = a.scale;
  for (std::size_t i = 0; i < longer.size(); ++i) {
    if (i >= a.size() || i >= b.size()) {
      result.body.parts.push_back(longer.body.parts[i].prefix(data));
      continue;
    }
    NttPoly part(context_.basis().n(), {data, 0});
    ring::add(part, a.body.parts[i], b.body.parts[i], context_.basis());
    result.body.parts.push_back(std::move(part));
  }
  return result;
}

Ciphertext Evaluator::subtract(const Ciphertext& a, const Ciphertext& b) const {
  check(a, context_);
  check(b, context_);
  check_scales("subtract", a.scale, b.scale);
  const std::size_t data = std::min(a.level(), b.level()) + 1;
  Ciphertext result;
  result.scale = a.scale;
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i >= b.size()) {
      result.body.parts.push_back(a.body.parts[i].prefix(data));
      continue;
    }
    NttPoly part(context_.basis().n(), {data, 0});
    if (i >= a.size()) {
      ring::negate(part, b.body.parts[i], context_.basis());
    } else {
      ring::subtract(part, a.body.parts[i], b.body.parts[i], context_.basis());
    }
    result.body.parts.push_back(std::move(part));
  }
  return result;
}

Ciphertext Evaluator::negate(const Ciphertext& a) const {
  check(a, context_);
  Ciphertext result;
  result.scale = a.scale;
  for (const NttPoly& part : a.body.parts) {
    NttPoly out(part.n(), part.limbs());
    ring::negate(out, part, context_.basis());
    result.body.parts.push_back(std::move(out));
  }
  return result;
}

Ciphertext Evaluator::add(const Ciphertext& a, const Plaintext& p) const {
  check(a, context_);
  context_.rlwe().check_data(p.poly);
  check_scales("add_plaintext", a.scale, p.scale);
  const std::size_t level = std::min(a.level(), p.level());
  NttPoly sum(context_.basis().n(), {level + 1, 0});
  ring::add(sum, a.body.parts[0], p.poly, context_.basis());
  Ciphertext result = drop_level(a, level);
  result.body.parts[0] = std::move(sum);
  return result;
}

Ciphertext Evaluator::multiply(const Ciphertext& a, const Plaintext& p) const {
  check(a, context_);
  context_.rlwe().check_data(p.poly);
  const Limbs limbs{std::min(a.level(), p.level()) + 1, 0};
  Ciphertext result;
  result.scale = a.scale * p.scale;
  check_product_scale("multiply_plaintext", result.scale, limbs.data - 1, context_);
  for (const NttPoly& part : a.body.parts) {
    NttPoly out(part.n(), limbs);
    ring::multiply(out, part, p.poly, context_.basis());
    result.body.parts.push_back(std::move(out));
  }
  return result;
}

Ciphertext Evaluator::add(const Ciphertext& a, double value) const {
  check_constant(value * a.scale);
  check(a, context_);
  const ring::RnsBasis& basis = context_.basis();
  const NttPoly& part = a.body.parts[0];
  NttPoly sum(part.n(), part.limbs());
  // A constant polynomial has the same value at every root.
  ring::parallel_rows(sum, [&](std::size_t r) {
    const u64 q = basis.prime(r);
    // Written out block by block, because the kernel adds arrays.
    constexpr std::size_t kBlock = 512;
    alignas(64) u64 constant[kBlock];
    const std::size_t block = std::min(kBlock, sum.n());
    std::fill_n(constant, block, ring::residue_of_real(value * a.scale, q));
    for (std::size_t j = 0; j < sum.n(); j += block) {
      basis.kernels(r).add(sum.row(r) + j, part.row(r) + j, constant, block, basis.modulus(r));
    }
  });
  Ciphertext result{{a.body.parts, std::nullopt}, a.scale};
  result.body.parts[0] = std::move(sum);
  return result;
}

Ciphertext Evaluator::multiply(const Ciphertext& a, double value, double scale) const {
  check(a, context_);
  check_constant(value * scale);
  Ciphertext result;
  result.scale = a.scale * scale;
  const ring::RnsBasis& basis = context_.basis();
  for (const NttPoly& part : a.body.parts) {
    NttPoly out(part.n(), part.limbs());
    ring::parallel_rows(out, [&](std::size_t r) {
      basis.kernels(r).multiply_scalar(out.row(r), part.row(r), ring::residue_of_real(value * scale, basis.prime(r)),
                                       part.n(), basis.modulus(r));
    });
    result.body.parts.push_back(std::move(out));
  }
  return result;
}

Ciphertext Evaluator::multiply_raw(const Ciphertext& a, const Ciphertext& b) const {
  const Ciphertext* const left[] = {&a};
  const Ciphertext* const right[] = {&b};
  return sum_of_products(*this, left, right);
}

Ciphertext Evaluator::relinearise(const Ciphertext& a) const {
  check(a, context_);
  if (a.size() == 2) return a;
  if (a.size() != 3) throw LevelError("relinearise takes three parts, got " + std::to_string(a.size()));
  const rlwe::PairFinish finish{rlwe::Finish{&*a.body.parts[0]}, rlwe::Finish{&*a.body.parts[1]}};
  const rlwe::SwitchingKey& relinearising = key(rlwe::kRelinearisation, a.level());
  const rlwe::KeyFamily& family = relinearising.family(context_.rlwe());
  return of_pair(rlwe::switch_key(a.body.parts[2], relinearising, finish, family), a.scale);
}

Ciphertext Evaluator::relinearise_rescale(const Ciphertext& a) const {
  check(a, context_);
  if (a.size() == 2 || a.level() == 0) return rescale(a);
  if (a.size() != 3) throw LevelError("relinearise takes three parts, got " + std::to_string(a.size()));
  const rlwe::SwitchingKey& relinearising = key(rlwe::kRelinearisation, a.level());
  const rlwe::KeyFamily& family = relinearising.family(context_.rlwe());
  return of_pair(
      rlwe::switch_key_rescaled(a.body.parts[2], relinearising, {&*a.body.parts[0], &*a.body.parts[1]}, family),
      a.scale / context_.prime(a.level()));
}

Ciphertext Evaluator::rescale(const Ciphertext& a) const {
  check(a, context_);
  if (a.level() == 0) throw LevelError("rescale: the ciphertext is at level 0, there is no prime left to divide by");
  Ciphertext result;
  result.scale = a.scale / context_.prime(a.level());
  std::vector<const NttPoly*> parts;
  for (const rlwe::Part& part : a.body.parts) parts.push_back(&*part);
  result.body.parts =
      rlwe::parts_of(rlwe::divide(parts, rlwe::last_divisor(a.level(), context_.rlwe()), context_.basis()));
  return result;
}

Ciphertext Evaluator::drop_level(const Ciphertext& a, std::size_t level) const {
  check(a, context_);
  if (level > a.level()) {
    throw LevelError("drop_level: the ciphertext is at level " + std::to_string(a.level()) + ", cannot go up to " +
                     std::to_string(level));
  }
  Ciphertext result;
  result.scale = a.scale;
  for (const rlwe::Part& part : a.body.parts) result.body.parts.push_back(part.prefix(level + 1));
  return result;
}

std::uint32_t Evaluator::galois_element(std::int64_t steps) const {
  const std::int64_t slots = static_cast<std::int64_t>(context_.encoder().slot_count());
  std::int64_t left = ((steps % slots) + slots) % slots;
  const std::uint64_t mask = 4 * static_cast<std::uint64_t>(slots) - 1;
  std::uint64_t element = 1;
  for (std::uint64_t power = context_.encoder().slot_generator(); left; left >>= 1) {
    if (left & 1) element = element * power & mask;
    power = power * power & mask;
  }
  return static_cast<std::uint32_t>(element);
}

const rlwe::SwitchingKey& Evaluator::key(const rlwe::KeyName& name, std::size_t level) const {
  if (keys_ == nullptr) throw KeyMissingError(describe(name) + ": no evaluation keys were given");
  if (const rlwe::SwitchingKey* key = keys_->find(name, level)) return *key;
  const std::optional<std::size_t> reach = keys_->reach(name);
  if (!reach) throw KeyMissingError(describe(name) + " at level " + std::to_string(level) + ": this key was not made");
  throw KeyMissingError(describe(name) + ": the key reaches level " + std::to_string(*reach) +
                        ", the ciphertext is at level " + std::to_string(level));
}

const rlwe::SwitchingKey& Evaluator::galois_key(std::uint32_t element, std::size_t level,
                                                const rlwe::KeyFamily& family) const {
  const rlwe::KeyName name = rlwe::galois_name(element);
  const rlwe::KeyPtr found = keys_ == nullptr ? nullptr : keys_->find(name, family.shape());
  if (found == nullptr || found->level < level) {
    if (keys_ == nullptr || keys_->find(name, level) == nullptr) key(name, level);  // throws
    throw KeyMissingError(describe(name) + " at level " + std::to_string(level) + ": its keys do not have " +
                          std::to_string(family.shape().special_count) + " special primes and digits of " +
                          std::to_string(family.shape().digit_size) + " primes");
  }
  found->family(context_.rlwe());  // refuses a key of another ring
  return *found;
}

Ciphertext Evaluator::apply_automorphism(const Ciphertext& a, std::uint32_t element) const {
  check(a, context_);
  check_two_parts("rotate", a);
  const std::uint32_t* permutation = context_.basis().permutation(element);
  const rlwe::PairFinish finish{rlwe::Finish{&*a.body.parts[0], permutation}, rlwe::Finish{nullptr, permutation}};
  const rlwe::SwitchingKey& rotating = key(rlwe::galois_name(element), a.level());
  return of_pair(rlwe::switch_key(a.body.parts[1], rotating, finish, rotating.family(context_.rlwe())), a.scale);
}

Ciphertext Evaluator::rotate(const Ciphertext& a, std::int64_t steps) const {
  check(a, context_);
  const std::uint32_t element = galois_element(steps);
  return element == 1 ? a : apply_automorphism(a, element);
}

std::vector<Ciphertext> Evaluator::rotate_many(const Ciphertext& a, std::span<const std::int64_t> steps) const {
  check(a, context_);
  check_two_parts("rotate", a);
  std::vector<Ciphertext> results;
  std::map<rlwe::KeyShape, rlwe::Digits> digits;
  for (std::int64_t left : steps) {
    const std::uint32_t element = galois_element(left);
    if (element == 1) {
      results.push_back(a);
      continue;
    }
    const rlwe::SwitchingKey& rotating = key(rlwe::galois_name(element), a.level());
    const rlwe::KeyFamily& family = rotating.family(context_.rlwe());
    const rlwe::Digits& shared = digits.try_emplace(family.shape(), a.body.parts[1], family).first->second;
    const std::uint32_t* permutation = context_.basis().permutation(element);
    const rlwe::PairFinish finish{rlwe::Finish{&*a.body.parts[0], permutation}, rlwe::Finish{nullptr, permutation}};
    results.push_back(of_pair(rlwe::switch_key(shared, rotating, finish, family), a.scale));
  }
  return results;
}

Ciphertext Evaluator::conjugate(const Ciphertext& a) const {
  return apply_automorphism(a, static_cast<std::uint32_t>(2 * context_.basis().n() - 1));
}

}  // namespace hetorch::ckks
