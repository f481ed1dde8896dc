// Rotation, conjugation and relinearisation, for every level of the key and of the ciphertext, with digits that divide
// the chain and digits that do not.
#include "core_session.h"
#include "rlwe/key_switch.h"

namespace {

using namespace session;

const Shape kShapes[] = {{64, 49, 1, 1, 1}, {64, 49, 4, 1, 1},  {64, 49, 4, 2, 2}, {64, 49, 5, 2, 2},
                         {64, 49, 6, 3, 3}, {64, 49, 7, 4, 3},  {64, 49, 6, 6, 6}, {64, 60, 5, 2, 2},
                         {64, 36, 5, 3, 2}, {1024, 49, 4, 2, 2}};

Values rotated(const Values& values, std::int64_t steps) {
  const std::int64_t count = static_cast<std::int64_t>(values.size());
  Values result(values.size());
  for (std::int64_t j = 0; j < count; ++j) {
    result[static_cast<std::size_t>(j)] = values[static_cast<std::size_t>(((j + steps) % count + count) % count)];
  }
  return result;
}

void rotations(Session& owner, const Shape& shape, std::size_t key_level) {
  const std::string text = shape.describe() + " key level " + std::to_string(key_level);
  const std::uint32_t conjugation = static_cast<std::uint32_t>(2 * shape.n - 1);
  const std::int64_t far = static_cast<std::int64_t>(owner.slot_count()) / 2 + 1;
  for (std::int64_t steps : {std::int64_t{1}, std::int64_t{-3}, far}) owner.make_rotation_key(steps, key_level);
  owner.make_galois_key(conjugation, key_level);
  const ckks::Evaluator evaluator = owner.evaluator();
  for (std::size_t level = 0; level <= key_level; ++level) {
    const Values values = owner.values();
    const ckks::Ciphertext x = owner.encrypt(values, level, shape.scale());
    const double bound = owner.switched_bound(level, shape.scale());
    for (std::int64_t steps : {std::int64_t{1}, std::int64_t{-3}, far}) {
      CHECK(distance(owner.decrypt(evaluator.rotate(x, steps)), rotated(values, steps)) < bound, text.c_str());
    }
    Values conjugate = values;
    for (ckks::Complex& v : conjugate) v = std::conj(v);
    CHECK(distance(owner.decrypt(evaluator.conjugate(x)), conjugate) < bound, text.c_str());
    CHECK(same_bits(evaluator.rotate(x, 0), x), text.c_str());
    CHECK(throws<ckks::KeyMissingError>([&] { evaluator.rotate(x, 2); }), text.c_str());
  }
  for (std::size_t level = key_level + 1; level < shape.data; ++level) {
    const ckks::Ciphertext x = owner.encrypt(owner.values(), level, shape.scale());
    CHECK(throws<ckks::KeyMissingError>([&] { evaluator.rotate(x, 1); }), text.c_str());
  }
}

void products(Session& owner, const Shape& shape, std::size_t key_level) {
  const std::string text = shape.describe() + " relinearisation level " + std::to_string(key_level);
  owner.make_relinearisation_key(key_level);
  const ckks::Evaluator evaluator = owner.evaluator();
  for (std::size_t level = 1; level <= key_level; ++level) {
    const Values a = owner.values();
    const Values b = owner.values();
    Values expected(a.size());
    for (std::size_t j = 0; j < a.size(); ++j) expected[j] = a[j] * b[j];
    const double scale = shape.scale();
    const ckks::Ciphertext raw = evaluator.multiply_raw(owner.encrypt(a, level, scale), owner.encrypt(b, level, scale));
    // Both factors are below sqrt(2), so the error of the product is below three times that of a factor.
    const double bound = 3 * owner.fresh_bound(scale);
    CHECK(raw.size() == 3 && distance(owner.decrypt(raw), expected) < bound, text.c_str());
    // Not relinearised, three parts times two are four: the factors' errors add up once more.
    Values cubed(a.size());
    for (std::size_t j = 0; j < a.size(); ++j) cubed[j] = expected[j] * a[j];
    if (level > 1) {
      const ckks::Ciphertext four = evaluator.multiply_raw(raw, owner.encrypt(a, level, scale));
      CHECK(four.size() == 4 && distance(owner.decrypt(four), cubed) < 3 * bound, text.c_str());
    }
    const ckks::Ciphertext product = evaluator.relinearise(raw);
    CHECK(product.size() == 2 &&
              distance(owner.decrypt(product), expected) < bound + owner.switched_bound(level, scale * scale),
          text.c_str());
    const ckks::Ciphertext rescaled = evaluator.rescale(product);
    CHECK(rescaled.level() == level - 1 &&
              distance(owner.decrypt(rescaled), expected) < bound + owner.switched_bound(level, rescaled.scale),
          text.c_str());
  }
  if (key_level + 1 < shape.data) {
    const ckks::Ciphertext x = owner.encrypt(owner.values(), key_level + 1, shape.scale());
    CHECK(throws<ckks::KeyMissingError>([&] { evaluator.multiply(x, x); }), text.c_str());
  }
}

// A key for other parameters is refused before it is read.
void foreign_keys() {
  const Shape shape{64, 49, 4, 2, 2};
  Session owner(shape);
  const ckks::Ciphertext x = owner.encrypt(owner.values(), 1, shape.scale());
  for (const Shape& other :
       {Shape{128, 49, 4, 2, 2}, Shape{64, 49, 4, 3, 2}, Shape{64, 49, 4, 2, 1}, Shape{64, 49, 6, 2, 2}}) {
    Session stranger(other);
    stranger.make_rotation_key(1, other.data - 1);
    stranger.make_relinearisation_key(other.data - 1);
    const ckks::Evaluator evaluator(owner.context, &stranger.keys);
    CHECK(throws<std::invalid_argument>([&] { evaluator.rotate(x, 1); }), other.describe().c_str());
    CHECK(throws<std::invalid_argument>([&] { evaluator.multiply(x, x); }), other.describe().c_str());
  }
  const ckks::Evaluator without(owner.context, nullptr);
  CHECK(throws<ckks::KeyMissingError>([&] { without.rotate(x, 1); }), "no keys");
  CHECK(throws<ckks::KeyMissingError>([&] { without.multiply(x, x); }), "no keys");
}

// Keys of several families serve one ciphertext: the one with the fewest special primes that reaches its level is
// taken.
void families() {
  const Shape shape{64, 49, 6, 3, 3, 0, {{1, 1}, {2, 2}}};
  Session owner(shape);
  const rlwe::Context& context = owner.context.rlwe();
  const std::uint32_t element = owner.evaluator().galois_element(1);
  owner.make_galois_key(element, 1, context.family({1, 1}));
  owner.make_galois_key(element, 3, context.family({2, 2}));
  owner.make_rotation_key(1, 5);
  for (std::size_t level = 0; level < shape.data; ++level) {
    const rlwe::KeyShape expected = level <= 1   ? rlwe::KeyShape{1, 1}
                                    : level <= 3 ? rlwe::KeyShape{2, 2}
                                                 : rlwe::KeyShape{3, 3};
    CHECK(owner.keys.find(rlwe::galois_name(element), level)->shape() == expected, "the smallest key");
    const Values values = owner.values();
    const ckks::Ciphertext x = owner.encrypt(values, level, shape.scale());
    const std::int64_t steps[] = {1, 1};
    const double bound = owner.switched_bound(level, shape.scale(), context.family(expected));
    for (const ckks::Ciphertext& turned : owner.evaluator().rotate_many(x, steps)) {
      CHECK(distance(owner.decrypt(turned), rotated(values, 1)) < bound, "a rotation");
    }
  }
  CHECK(throws<std::invalid_argument>([&] { context.family({2, 1}); }), "a family that is not there");
  CHECK(throws<std::invalid_argument>([&] { Session({64, 49, 6, 3, 3, 0, {{4, 1}}}); }), "too many special primes");
  CHECK(throws<std::invalid_argument>([&] { Session({64, 49, 6, 3, 3, 0, {{1, 7}}}); }), "too large digits");
  CHECK(throws<std::invalid_argument>([&] { Session({64, 49, 6, 3, 3, 0, {{0, 1}}}); }), "no special primes");
}

// A switch to a sparse secret and back, and the refusal of every larger key under it.
void sparse_secrets() {
  const Shape shape{64, 49, 4, 2, 2, 0, {{1, 1}}};
  Session owner(shape);
  const rlwe::Context& context = owner.context.rlwe();
  const rlwe::SecretKey sparse(context, bytes_of(5, 0, 8 * ring::kSparseBytes), rlwe::SparseShape{8, 2});
  const auto link = [&](const rlwe::SecretKey& from, const rlwe::SecretKey& to, std::size_t level,
                        const rlwe::KeyFamily& family) {
    const rlwe::Seed seed = seed_of(17);
    return rlwe::make_switching_key(from, to, 1, level, seed, uniform_of(seed), source_of(18 + level), context, family);
  };
  const rlwe::KeyFamily& small = context.family({1, 1});
  const rlwe::SwitchingKey into = link(owner.key, sparse, 0, small);
  const rlwe::SwitchingKey back = link(sparse, owner.key, 3, context.main());
  const Values values = owner.values();
  const ckks::Ciphertext x = owner.encrypt(values, 0, shape.scale());
  const auto switched = [&](const rlwe::Ciphertext& from, const rlwe::SwitchingKey& key) {
    const rlwe::PairFinish finish{rlwe::Finish{&*from.parts[0]}, {}};
    auto pair = rlwe::switch_key(from.parts[1], key, finish, key.family(context));
    rlwe::Ciphertext result;
    for (ring::NttPoly& part : pair) result.parts.push_back(std::move(part));
    return result;
  };
  const rlwe::Ciphertext under_sparse = switched(x.body, into);
  const double bound = owner.switched_bound(0, shape.scale(), small) + owner.switched_bound(0, shape.scale());
  const Values inside = owner.context.encoder().decode(rlwe::decrypt(under_sparse, sparse, context), x.scale);
  CHECK(distance(inside, values) < bound, "under the sparse secret");
  CHECK(distance(owner.decrypt({switched(under_sparse, back), x.scale}), values) < bound, "back under the dense one");
  CHECK(throws<std::invalid_argument>([&] { link(owner.key, sparse, 0, context.main()); }), "two special primes");
  CHECK(throws<std::invalid_argument>([&] { link(owner.key, sparse, 1, small); }), "two data primes");
  CHECK(throws<std::invalid_argument>([&] { link(sparse, sparse, 3, context.main()); }), "a Galois key of it");
  const rlwe::Seed seed = seed_of(19);
  const std::vector<std::uint8_t> error = bytes_of(20, 0, shape.n * ring::kGaussianBytes);
  CHECK(throws<std::invalid_argument>([&] {
          rlwe::make_relinearisation_key(sparse, 3, seed, uniform_of(seed), source_of(20), context, context.main());
        }),
        "a relinearisation key of it");
  CHECK(throws<std::invalid_argument>([&] {
          rlwe::make_scaled_key(owner.key, sparse, 1, seed, uniform_of(seed), source_of(20), context, context.main());
        }),
        "a key of one digit to it");
  CHECK(throws<std::invalid_argument>([&] { rlwe::make_public_key(sparse, seed, uniform_of(seed), error, context); }),
        "a public key of it");
  const ckks::Plaintext message = owner.encode(values, 3, shape.scale());
  CHECK(throws<std::invalid_argument>(
            [&] { rlwe::encrypt(message.poly, sparse, seed, uniform_of(seed), error, context); }),
        "an encryption under it");
}

// Without special primes no switching key can be made.
void no_special_primes() {
  Session owner({64, 49, 3, 0, 1});
  CHECK(throws<std::invalid_argument>([&] { owner.make_rotation_key(1, 2); }), "rotation");
  CHECK(throws<std::invalid_argument>([&] { owner.make_relinearisation_key(2); }), "relinearisation");
}

}  // namespace

int main() {
  for (const Shape& shape : kShapes) {
    Session owner(shape);
    for (std::size_t level = 0; level < shape.data; ++level) {
      owner.keys = {};
      rotations(owner, shape, level);
      products(owner, shape, level);
    }
  }
  foreign_keys();
  families();
  sparse_secrets();
  no_special_primes();
  return check::status();
}
