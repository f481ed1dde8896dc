#include "ckks/batched_ops.h"

#include <string>

namespace hetorch::ckks {
namespace {

// Return operation(0) … operation(count - 1), computed in parallel.
template <class Operation>
Ciphertexts run_batch(std::size_t count, const Operation& operation) {
  Ciphertexts results(count);
  ring::parallel_for(count, [&](std::size_t i) { results[i] = operation(i); });
  return results;
}

void check_operands(const char* what, CiphertextRefs cts, std::size_t others) {
  for (const Ciphertext* ct : cts) {
    if (ct == nullptr) throw std::invalid_argument(std::string(what) + ": a ciphertext is None");
  }
  if (cts.size() != others) {
    throw std::invalid_argument(std::string(what) + " takes as many right operands as left ones, got " +
                                std::to_string(cts.size()) + " and " + std::to_string(others));
  }
}

// Return the number of runs of `terms` ciphertexts; throw std::invalid_argument if they do not come out even.
std::size_t run_count(const char* what, std::size_t count, std::size_t terms) {
  if (terms == 0 || count % terms != 0) {
    throw std::invalid_argument(std::string(what) + " of " + std::to_string(terms) +
                                " terms each: " + std::to_string(count) + " ciphertexts were given");
  }
  return count / terms;
}

}  // namespace

Ciphertexts negate_each(const Evaluator& evaluator, CiphertextRefs a) {
  check_operands("negate_each", a, a.size());
  return run_batch(a.size(), [&](std::size_t i) { return evaluator.negate(*a[i]); });
}

Ciphertexts add_each(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b) {
  check_operands("add_each", a, b.size());
  check_operands("add_each", b, a.size());
  return run_batch(a.size(), [&](std::size_t i) { return evaluator.add(*a[i], *b[i]); });
}

Ciphertexts subtract_each(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b) {
  check_operands("subtract_each", a, b.size());
  check_operands("subtract_each", b, a.size());
  return run_batch(a.size(), [&](std::size_t i) { return evaluator.subtract(*a[i], *b[i]); });
}

Ciphertexts add_constants(const Evaluator& evaluator, CiphertextRefs a, std::span<const double> values) {
  check_operands("add_constants", a, values.size());
  return run_batch(a.size(), [&](std::size_t i) { return evaluator.add(*a[i], values[i]); });
}

Ciphertexts sums_of_weights(const Evaluator& evaluator, CiphertextRefs cts, std::span<const double> weights,
                            std::size_t terms, double scale, bool rescale) {
  check_operands("sums of weights", cts, weights.size());
  return run_batch(run_count("sums of weights", cts.size(), terms), [&](std::size_t i) {
    const Ciphertext sum =
        sum_of_weights(evaluator, cts.subspan(i * terms, terms), weights.subspan(i * terms, terms), scale);
    return rescale ? evaluator.rescale(sum) : sum;
  });
}

Ciphertexts sums_of_products(const Evaluator& evaluator, CiphertextRefs a, CiphertextRefs b, std::size_t terms,
                             bool relinearise, bool rescale) {
  check_operands("sums of products", a, b.size());
  return run_batch(run_count("sums of products", a.size(), terms), [&](std::size_t i) {
    const Ciphertext sum = sum_of_products(evaluator, a.subspan(i * terms, terms), b.subspan(i * terms, terms));
    if (relinearise && rescale) return evaluator.relinearise_rescale(sum);
    const Ciphertext two = relinearise ? evaluator.relinearise(sum) : sum;
    return rescale ? evaluator.rescale(two) : two;
  });
}

}  // namespace hetorch::ckks
