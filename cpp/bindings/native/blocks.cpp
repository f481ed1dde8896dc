// Packed blocks of training together, and their sums: what an aggregator does.
#include "federated/blocks.h"

#include "bindings/native/module.h"

namespace hetorch::bindings {
namespace {

namespace blocks = hetorch::federated;

using Sums = nb::ndarray<std::int64_t, nb::shape<-1, blocks::kDegree>, nb::c_contig, nb::device::cpu>;

// Return a byte string whose memory the caller fills before anyone else has it.
nb::bytes new_bytes(std::size_t size) {
  auto bytes = nb::steal<nb::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
  if (!bytes.is_valid()) throw nb::python_error();
  return bytes;
}

nb::bytes pack_blocks(const IntArray& residues) {
  if (residues.size() % blocks::kDegree != 0) throw std::invalid_argument("a block has 2048 residues");
  nb::bytes packed = new_bytes(residues.size() / blocks::kDegree * blocks::kBlockBytes);
  auto* out = reinterpret_cast<std::uint8_t*>(PyBytes_AsString(packed.ptr()));
  nb::gil_scoped_release release;
  hetorch::codec::pack_block(out, reinterpret_cast<const blocks::u64*>(residues.data()), residues.size());
  return packed;
}

BlockArray unpack_blocks(const ReadMemory& packed) {
  BlockArray residues = new_blocks(packed.size() / blocks::kBlockBytes, blocks::kDegree);
  nb::gil_scoped_release release;
  blocks::unpack_blocks(reinterpret_cast<blocks::u64*>(residues.data()), view(packed), blocks::selected_ring());
  return residues;
}

void add_blocks(const Sums& total, const ReadMemory& packed) {
  nb::gil_scoped_release release;
  blocks::add_blocks({reinterpret_cast<blocks::u64*>(total.data()), total.size()}, view(packed),
                     blocks::selected_ring());
}

void pack_sums(const WrittenMemory& out, const Sums& total) {
  nb::gil_scoped_release release;
  blocks::pack_sums(view(out), {reinterpret_cast<const blocks::u64*>(total.data()), total.size()},
                    blocks::selected_ring());
}

}  // namespace

void bind_blocks(nb::module_& m) {
  m.def("pack_blocks", &pack_blocks, "residues"_a, "Pack blocks of 2048 residues of 45 bits.");
  m.def("unpack_blocks", &unpack_blocks, "packed"_a,
        "Return (count, 2048) residues; WireError unless all are below q.");
  m.def("add_blocks", &add_blocks, "total"_a, "packed"_a,
        "Add packed blocks to sums (count, 2048), which are not reduced; a WireError leaves them as they were.");
  m.def("pack_sums", &pack_sums, "out"_a, "total"_a, "Pack the residues of at most 2^15 added blocks.");
}

}  // namespace hetorch::bindings
