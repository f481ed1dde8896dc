// Blocks of training together: every kernel path gives the bits of the portable one, sums decrypt to sums, tags add up,
// and broken bytes change nothing.
#include "codec/bits.h"
#include "core_session.h"
#include "federated/blocks.h"
#include "federated/secret.h"

namespace {

using namespace session;
namespace federated = hetorch::federated;
using federated::kBlockBytes;
using federated::kDegree;
using federated::kPrime;
using Packed = std::vector<std::uint8_t>;

constexpr std::size_t kCount = 35;  // more than a thread works on at a time
constexpr int kShift = 9;
constexpr u64 kErrorBound = 42;

std::vector<std::int64_t> integers_of(u64 tag) {
  Stream stream(tag);
  std::vector<std::int64_t> integers(kCount * kDegree);
  for (std::int64_t& value : integers) value = static_cast<std::int64_t>(stream.below(1 << 20)) - (1 << 19);
  return integers;
}

// What one party makes of its secrets, all from streams of its tag.
struct Party {
  std::vector<u64> secret = std::vector<u64>(kDegree);
  Packed packed = Packed(kCount * kBlockBytes);
  std::array<u64, 2> tag{};
};

Packed uniform_bytes() { return bytes_of(1, 0, kCount * federated::kUniformBytes); }

federated::Tag new_tag() {
  return {bytes_of(2, 0, federated::Tag::random_bytes(kCount)), kCount, federated::selected_ring()};
}

Party encrypted(u64 tag, const federated::Ring& ring) {
  Party party;
  federated::gaussian_blocks(party.secret.data(), bytes_of(tag, 0, federated::kGaussianBytes), ring);
  const Packed uniform = uniform_bytes();
  const Packed random = bytes_of(tag, 1, kCount * federated::kGaussianBytes);
  const std::vector<std::int64_t> integers = integers_of(tag);
  const federated::Secret secret(party.secret.data(), ring);
  federated::Tag sum = new_tag();
  federated::encrypt_blocks(party.packed, integers, {kCount, 0, uniform, kShift}, secret, random, sum, ring);
  party.tag = sum.value(ring);
  return party;
}

void every_path_gives_the_same_bits(const federated::Ring& portable) {
  const Party expected = encrypted(10, portable);
  const std::vector<std::int64_t> integers = integers_of(10);
  const Packed uniform = uniform_bytes();
  for (const residues::Kernels* path : residues::fast_paths()) {
    const federated::Ring ring(*path);
    const Party party = encrypted(10, ring);
    CHECK(party.secret == expected.secret, path->name);
    CHECK(party.packed == expected.packed, path->name);
    CHECK(party.tag == expected.tag, path->name);
    federated::Tag again = new_tag();
    again.add_packed(std::span(party.packed).first(3 * kBlockBytes), 0, ring);
    again.add_packed(std::span(party.packed).subspan(3 * kBlockBytes), 3, ring);
    CHECK(again.value(ring) == expected.tag, path->name);
    std::vector<std::int64_t> opened(integers.size());
    const federated::Secret secret(party.secret.data(), ring);
    CHECK(federated::decrypt_blocks(opened, party.packed, {kCount, 0, uniform, kShift}, secret, kErrorBound, ring),
          path->name);
    CHECK(opened == integers, path->name);
  }
}

void sums_decrypt_to_sums(const federated::Ring& ring) {
  const Party one = encrypted(20, ring);
  const Party other = encrypted(21, ring);
  std::vector<u64> total(kCount * kDegree);
  federated::add_blocks(total, one.packed, ring);
  federated::add_blocks(total, other.packed, ring);
  Packed packed(kCount * kBlockBytes);
  federated::pack_sums(packed, total, ring);
  federated::Tag tag = new_tag();
  tag.add_packed(packed, 0, ring);
  for (std::size_t h = 0; h < 2; ++h) {
    CHECK(tag.value(ring)[h] == (one.tag[h] + other.tag[h]) % kPrime, "tags add up");
  }
  std::vector<u64> secret(kDegree);
  const u64* const rows[] = {one.secret.data(), other.secret.data()};
  const u64 weights[] = {1, 1};
  federated::weighted_sum(secret.data(), rows, weights, ring);
  const Packed uniform = uniform_bytes();
  const federated::Run run{kCount, 0, uniform, kShift};
  std::vector<std::int64_t> opened(total.size());
  const federated::Secret sum(secret.data(), ring);
  CHECK(federated::decrypt_blocks(opened, packed, run, sum, 2 * kErrorBound, ring), "sum");
  const std::vector<std::int64_t> first = integers_of(20);
  const std::vector<std::int64_t> second = integers_of(21);
  bool same = true;
  for (std::size_t j = 0; j < opened.size(); ++j) same = same && opened[j] == first[j] + second[j];
  CHECK(same, "sum");
  const federated::Secret wrong(one.secret.data(), ring);
  CHECK(!federated::decrypt_blocks(opened, packed, run, wrong, 2 * kErrorBound, ring), "another secret");
}

void weights_are_those_of_their_rows(const federated::Ring& ring) {
  // More rows than the kernel takes at a time; row i has the number i - 70 everywhere, the weights are q - 1 - i.
  std::vector<std::vector<u64>> values;
  std::vector<const u64*> rows;
  std::vector<u64> weights;
  residues::u128 expected = 0;
  for (u64 i = 0; i < 140; ++i) {
    values.emplace_back(kDegree, i - 70);
    weights.push_back(kPrime - 1 - i);
    expected += residues::multiply(i < 70 ? kPrime + i - 70 : i - 70, weights.back(), kPrime);
  }
  for (const std::vector<u64>& row : values) rows.push_back(row.data());
  std::vector<u64> sum(kDegree);
  federated::weighted_sum(sum.data(), rows.data(), weights, ring);
  CHECK(sum.front() == static_cast<u64>(expected % kPrime) && sum.back() == sum.front(), "140 rows");
}

void broken_bytes_change_nothing(const federated::Ring& ring) {
  const Party party = encrypted(30, ring);
  std::vector<u64> total(kCount * kDegree, 7);
  for (std::size_t block : {std::size_t{0}, std::size_t{20}, kCount - 1}) {
    Packed broken = party.packed;
    std::fill_n(broken.begin() + static_cast<std::ptrdiff_t>(block * kBlockBytes), 6, std::uint8_t{0xff});
    CHECK(throws<hetorch::codec::FormatError>([&] { federated::add_blocks(total, broken, ring); }), "above the prime");
    CHECK(throws<hetorch::codec::FormatError>([&] { new_tag().add_packed(broken, 0, ring); }), "above the prime");
    std::vector<u64> residues(kCount * kDegree);
    CHECK(throws<hetorch::codec::FormatError>([&] { federated::unpack_blocks(residues.data(), broken, ring); }),
          "above");
  }
  const Packed shorter(party.packed.begin(), party.packed.end() - 1);
  CHECK(throws<hetorch::codec::FormatError>([&] { federated::add_blocks(total, shorter, ring); }), "shorter");
  CHECK(total == std::vector<u64>(kCount * kDegree, 7), "as it was");
  CHECK(throws<std::invalid_argument>([&] { new_tag().add_packed(party.packed, 1, ring); }), "no factors");
}

void uniform_blocks_are_below_the_prime(const federated::Ring& ring) {
  Packed random = bytes_of(40, 0, federated::kUniformBytes);
  std::vector<u64> before(kDegree);
  std::vector<u64> after(kDegree);
  federated::uniform_block(before.data(), random.data(), ring);
  std::fill_n(random.begin() + 45, 6, std::uint8_t{0xff});  // number 8, and 3 bits of the next one
  federated::uniform_block(after.data(), random.data(), ring);
  std::vector<u64> spares(hetorch::codec::kGroup);
  hetorch::codec::unpack_block(spares.data(), random.data() + kBlockBytes, spares.size(), ring.path());
  CHECK(after[8] == spares[0] && after[8] < kPrime && after[10] == before[10], "a spare");
  const Packed none(federated::kUniformBytes, 0xff);
  CHECK(throws<std::invalid_argument>([&] { federated::uniform_block(after.data(), none.data(), ring); }), "no spares");
}

}  // namespace

int main() {
  const federated::Ring portable(hetorch::kernels::portable());
  every_path_gives_the_same_bits(portable);
  const federated::Ring& ring = federated::selected_ring();
  sums_decrypt_to_sums(ring);
  weights_are_those_of_their_rows(ring);
  broken_bytes_change_nothing(ring);
  uniform_blocks_are_below_the_prime(ring);
  return check::status();
}
