// What a party of training together does with the secrets of a round.
#include "bindings/secret/module.h"
#include "federated/secret.h"

namespace hetorch::bindings {
namespace {

namespace blocks = hetorch::federated;
using Block = nb::ndarray<const std::int64_t, nb::shape<blocks::kDegree>, nb::c_contig, nb::device::cpu>;
using Blocks = nb::ndarray<const std::int64_t, nb::shape<-1, blocks::kDegree>, nb::c_contig, nb::device::cpu>;
using WritableBlocks = nb::ndarray<std::int64_t, nb::shape<-1, blocks::kDegree>, nb::c_contig, nb::device::cpu>;

const blocks::u64* words(const std::int64_t* numbers) { return reinterpret_cast<const blocks::u64*>(numbers); }
blocks::u64* words(std::int64_t* numbers) { return reinterpret_cast<blocks::u64*>(numbers); }

BlockArray gaussian_blocks(const ReadMemory& random) {
  BlockArray numbers = new_blocks(random.size() / blocks::kGaussianBytes, blocks::kDegree);
  nb::gil_scoped_release release;
  blocks::gaussian_blocks(words(numbers.data()), view(random), blocks::selected_ring());
  return numbers;
}

BlockArray uniform_blocks(const ReadMemory& random) {
  if (random.size() % blocks::kUniformBytes != 0) throw std::invalid_argument("wrong number of random bytes");
  BlockArray residues = new_blocks(random.size() / blocks::kUniformBytes, blocks::kDegree);
  for (std::size_t i = 0; i < residues.shape(0); ++i) {
    blocks::uniform_block(words(residues.data()) + i * blocks::kDegree, random.data() + i * blocks::kUniformBytes,
                          blocks::selected_ring());
  }
  return residues;
}

BlockArray weighted_sum(const Blocks& rows, const std::vector<blocks::u64>& weights) {
  if (weights.size() != rows.shape(0)) throw std::invalid_argument("a weighted sum has one weight for each row");
  for (blocks::u64 weight : weights) {
    if (weight >= blocks::kPrime) throw std::invalid_argument("a weight is not below the prime of the round");
  }
  BlockArray sum = new_blocks(1, blocks::kDegree);
  std::vector<const blocks::u64*> listed;
  for (std::size_t i = 0; i < weights.size(); ++i) listed.push_back(words(rows.data()) + i * blocks::kDegree);
  blocks::weighted_sum(words(sum.data()), listed.data(), weights, blocks::selected_ring());
  return sum;
}

void encrypt_blocks(const WrittenMemory& out, const Blocks& integers, const blocks::Secret& secret,
                    const ReadMemory& uniform, const ReadMemory& random, blocks::Tag& tag, std::size_t first,
                    int shift) {
  const blocks::Run run{integers.shape(0), first, view(uniform), shift};
  nb::gil_scoped_release release;
  blocks::encrypt_blocks(view(out), {integers.data(), integers.size()}, run, secret, view(random), tag,
                         blocks::selected_ring());
}

bool decrypt_blocks(const WritableBlocks& out, const ReadMemory& packed, const blocks::Secret& secret,
                    const ReadMemory& uniform, int shift, blocks::u64 error_bound) {
  const blocks::Run run{out.shape(0), 0, view(uniform), shift};
  nb::gil_scoped_release release;
  return blocks::decrypt_blocks({out.data(), out.size()}, view(packed), run, secret, error_bound,
                                blocks::selected_ring());
}

}  // namespace

void bind_rounds(nb::module_& m) {
  nb::class_<blocks::Secret>(m, "RoundSecret", "A secret of one round, as its transform.")
      .def(
          "__init__",
          [](blocks::Secret* self, const Block& coefficients) {
            new (self) blocks::Secret(words(coefficients.data()), blocks::selected_ring());
          },
          "coefficients"_a)
      .def("wipe", &blocks::Secret::wipe);
  nb::class_<blocks::Tag>(m, "RoundTag", "The tag of an encrypted update, which grows as its blocks are added.")
      .def(
          "__init__",
          [](blocks::Tag* self, const ReadMemory& random, std::size_t blocks) {
            new (self) blocks::Tag(view(random), blocks, blocks::selected_ring());
          },
          "random"_a, "blocks"_a)
      .def_static("random_bytes", &blocks::Tag::random_bytes, "blocks"_a)
      .def(
          "add_packed",
          [](blocks::Tag& tag, const ReadMemory& packed, std::size_t first) {
            nb::gil_scoped_release release;
            tag.add_packed(view(packed), first, blocks::selected_ring());
          },
          "packed"_a, "first"_a)
      .def("value",
           [](const blocks::Tag& tag) {
             const auto value = tag.value(blocks::selected_ring());
             return std::pair(value[0], value[1]);
           })
      .def("wipe", &blocks::Tag::wipe);
  m.def("gaussian_blocks", &gaussian_blocks, "random"_a,
        "Return (count, 2048) discrete Gaussian numbers, of 8 random bytes each.");
  m.def("uniform_blocks", &uniform_blocks, "random"_a,
        "Return (count, 2048) uniform residues, of 11880 random bytes a block.");
  m.def("weighted_sum", &weighted_sum, "rows"_a, "weights"_a,
        "Return the sum (1, 2048) of the rows, each times its weight, modulo q.");
  m.def("encrypt_blocks", &encrypt_blocks, "out"_a, "integers"_a, "secret"_a, "uniform"_a, "random"_a, "tag"_a,
        "first"_a, "shift"_a, "Encrypt blocks of integers to `out`, and add them to the tag.");
  m.def("decrypt_blocks", &decrypt_blocks, "out"_a, "packed"_a, "secret"_a, "uniform"_a, "shift"_a, "error_bound"_a,
        "Decrypt blocks to `out`; return False if an error is above its bound.");
}

}  // namespace hetorch::bindings
