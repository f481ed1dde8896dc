// Batched operations have the bits of single operations; results share memory with operands where they can.
#include "ckks/batched_ops.h"
#include "core_session.h"
#include "ring/buffer.h"

namespace {

using namespace session;

std::vector<const ckks::Ciphertext*> refs(const ckks::Ciphertexts& cts) {
  std::vector<const ckks::Ciphertext*> result;
  for (const ckks::Ciphertext& ct : cts) result.push_back(&ct);
  return result;
}

// True if there are `count` results and result i has the bits of operation(i).
template <class Operation>
bool same(const ckks::Ciphertexts& results, std::size_t count, const Operation& operation) {
  if (results.size() != count) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (!same_bits(results[i], operation(i))) return false;
  }
  return true;
}

// Operands of a batch: `count` runs of `terms` ciphertexts and numbers.
struct Batch {
  Batch(const Shape& shape, std::size_t count, std::size_t terms) : owner(shape), scale(shape.scale()) {
    const std::size_t top = owner.context.max_level();
    owner.make_relinearisation_key(top);
    Stream stream(count * 100 + terms);
    for (std::size_t i = 0; i < count * terms; ++i) {
      a.push_back(owner.encrypt(owner.values(), top, scale));
      b.push_back(owner.encrypt(owner.values(), top, scale));
      values.push_back(std::ldexp(static_cast<double>(stream.below(u64{1} << 53)), -52) - 1);
    }
  }
  Session owner;
  double scale;
  ckks::Ciphertexts a, b;
  std::vector<double> values;
};

void test_single_operations(const Batch& batch, const char* text) {
  const ckks::Evaluator evaluator = batch.owner.evaluator();
  const std::size_t all = batch.a.size();
  const auto x = refs(batch.a);
  const auto y = refs(batch.b);
  CHECK(same(ckks::negate_each(evaluator, x), all, [&](std::size_t i) { return evaluator.negate(batch.a[i]); }), text);
  CHECK(
      same(ckks::add_each(evaluator, x, y), all, [&](std::size_t i) { return evaluator.add(batch.a[i], batch.b[i]); }),
      text);
  CHECK(same(ckks::subtract_each(evaluator, x, y), all,
             [&](std::size_t i) { return evaluator.add(batch.a[i], evaluator.negate(batch.b[i])); }),
        text);
  CHECK(same(ckks::add_constants(evaluator, x, batch.values), all,
             [&](std::size_t i) { return evaluator.add(batch.a[i], batch.values[i]); }),
        text);
}

void test_sums(const Batch& batch, std::size_t count, std::size_t terms, const char* text) {
  const ckks::Evaluator evaluator = batch.owner.evaluator();
  const ckks::Ciphertexts& a = batch.a;
  const ckks::Ciphertexts& b = batch.b;
  const std::vector<double>& values = batch.values;
  const double scale = batch.scale;
  // The definitions: one product and one sum after the other.
  const auto sum_of_weights = [&](std::size_t i) {
    ckks::Ciphertext sum = evaluator.multiply(a[i * terms], values[i * terms], scale);
    for (std::size_t t = 1; t < terms; ++t) {
      sum = evaluator.add(sum, evaluator.multiply(a[i * terms + t], values[i * terms + t], scale));
    }
    return sum;
  };
  const auto sum_of_products = [&](std::size_t i) {
    ckks::Ciphertext sum = evaluator.multiply_raw(a[i * terms], b[i * terms]);
    for (std::size_t t = 1; t < terms; ++t) {
      sum = evaluator.add(sum, evaluator.multiply_raw(a[i * terms + t], b[i * terms + t]));
    }
    return sum;
  };
  for (const bool rescale : {false, true}) {
    CHECK(same(ckks::sums_of_weights(evaluator, refs(a), values, terms, scale, rescale), count,
               [&](std::size_t i) {
                 const ckks::Ciphertext sum = sum_of_weights(i);
                 return rescale ? evaluator.rescale(sum) : sum;
               }),
          text);
    for (const bool relinearise : {false, true}) {
      CHECK(same(ckks::sums_of_products(evaluator, refs(a), refs(b), terms, relinearise, rescale), count,
                 [&](std::size_t i) {
                   const ckks::Ciphertext sum = sum_of_products(i);
                   if (relinearise && rescale) return evaluator.relinearise_rescale(sum);
                   if (relinearise) return evaluator.relinearise(sum);
                   return rescale ? evaluator.rescale(sum) : sum;
                 }),
            text);
    }
  }
}

void test_refusals(const Batch& batch, const char* text) {
  const ckks::Evaluator evaluator = batch.owner.evaluator();
  const auto x = refs(batch.a);
  const auto y = refs(batch.b);
  const std::span<const double> values = batch.values;
  const std::size_t all = x.size();
  CHECK(throws<std::invalid_argument>([&] { ckks::add_each(evaluator, x, std::span(y).first(all - 1)); }), text);
  CHECK(throws<std::invalid_argument>([&] { ckks::add_constants(evaluator, x, values.first(all - 1)); }), text);
  CHECK(throws<std::invalid_argument>([&] { ckks::sums_of_products(evaluator, x, y, all + 1, true, true); }), text);
  CHECK(throws<std::invalid_argument>([&] { ckks::sums_of_weights(evaluator, x, values, 0, batch.scale, true); }),
        text);
  const std::vector<const ckks::Ciphertext*> none{nullptr};
  CHECK(throws<std::invalid_argument>([&] { ckks::negate_each(evaluator, none); }), text);
}

void test_batch(const Shape& shape, std::size_t count, std::size_t terms) {
  const std::string text = shape.describe() + " count " + std::to_string(count) + " terms " + std::to_string(terms);
  const Batch batch(shape, count, terms);
  test_single_operations(batch, text.c_str());
  test_sums(batch, count, terms, text.c_str());
  test_refusals(batch, text.c_str());
}

// Sums of more terms than the kernel takes at once, and of operands with two and three parts.
void test_many_terms(const Shape& shape) {
  Session owner(shape);
  const ckks::Evaluator evaluator = owner.evaluator();
  const std::size_t top = owner.context.max_level();
  ckks::Ciphertexts a;
  std::vector<double> weights;
  for (std::size_t i = 0; i < 150; ++i) {
    a.push_back(owner.encrypt(owner.values(), top, shape.scale()));
    if (i % 50 == 3) {
      a[i] = evaluator.multiply_raw(a[i], a[i]);
      a[i].scale = shape.scale();
    }
    weights.push_back((i % 7) * 0.25 - 0.5);
  }
  ckks::Ciphertext sum = evaluator.multiply(a[0], weights[0], shape.scale());
  for (std::size_t i = 1; i < a.size(); ++i)
    sum = evaluator.add(sum, evaluator.multiply(a[i], weights[i], shape.scale()));
  CHECK(same_bits(evaluator.subtract(a[0], a[3]), evaluator.add(a[0], evaluator.negate(a[3]))), "two parts less three");
  CHECK(same_bits(evaluator.subtract(a[3], a[0]), evaluator.add(a[3], evaluator.negate(a[0]))), "three parts less two");
  CHECK(same_bits(ckks::sum_of_weights(evaluator, refs(a), weights, shape.scale()), sum), "150 terms");
}

void test_sharing(const Shape& shape) {
  Session owner(shape);
  const ckks::Evaluator evaluator = owner.evaluator();
  const std::size_t top = owner.context.max_level();
  const ckks::Ciphertext a = owner.encrypt(owner.values(), top, shape.scale());
  const ckks::Ciphertext before{{{ring::NttPoly(*a.body.parts[0]), ring::NttPoly(*a.body.parts[1])}, {}}, a.scale};
  const std::size_t part = a.body.parts[0]->words() * 8;
  const std::vector<double> values(owner.slot_count(), 0.5);
  const std::size_t in_use = ring::pool_statistics().in_use;
  {
    const ckks::Ciphertext shifted = evaluator.add(a, 0.5);
    CHECK(ring::pool_statistics().in_use == in_use + part, "a sum with a number holds one part more");
    const ckks::Ciphertext moved = ckks::add_values(evaluator, a, values);
    CHECK(ring::pool_statistics().in_use == in_use + 2 * part, "and so does one with values");
    const ckks::Ciphertext same_level = evaluator.drop_level(moved, top);
    CHECK(ring::pool_statistics().in_use == in_use + 2 * part, "dropping to the same level holds nothing more");
    CHECK(same_bits(same_level, moved), "and is the same");
    CHECK(&*shifted.body.parts[1] == &*a.body.parts[1], "c_1 is the operand's");
    const ckks::Ciphertext lower = evaluator.drop_level(a, top - 1);
    CHECK(ring::pool_statistics().in_use > in_use + 2 * part, "a lower level does not keep the rows of the higher");
  }
  CHECK(ring::pool_statistics().in_use == in_use, "all is given back");
  CHECK(same_bits(a, before), "no operand changes");
}

}  // namespace

int main() {
  for (const Shape& shape : {Shape{256, 40, 3, 1, 1}, Shape{256, 55, 4, 2, 2}}) {
    test_batch(shape, 1, 1);
    test_batch(shape, 5, 1);
    test_batch(shape, 3, 4);
    test_many_terms(shape);
    test_sharing(shape);
  }
  return check::status();
}
