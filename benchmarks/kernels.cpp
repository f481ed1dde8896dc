// Times every kernel on every path: prints the median time in nanoseconds, of a transform or for an element, and the
// speed relative to the portable path. The paths take turns within a repetition, so that a slow phase of the machine
// affects all of them. With `--rows TEXT` only rows that have TEXT in their name or path are measured, and each line is
// tab-separated: name, path, milliseconds of the portable path and of this one, their ratio with its least and largest,
// repetitions.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

#include "residues.h"

namespace {

using namespace residues;

double seconds_of(const std::function<void()>& work, int calls) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / calls;
}

bool rows = false;
std::string only;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Time work[i] of each paths[i] in turns and print a line for each. scale: units in a second.
void compare(const char* name, std::size_t n, const std::vector<const Kernels*>& paths,
             const std::vector<std::function<void()>>& work, double scale, const char* unit) {
  const std::string title = std::string(name) + ", n=" + std::to_string(n);
  const auto wanted = [&](std::size_t i) { return (title + " " + paths[i]->name).find(only) != std::string::npos; };
  bool any = !rows;
  for (std::size_t i = 1; i < paths.size(); ++i) any = any || wanted(i);
  if (!any) return;
  const int repetitions = rows ? 7 : 21;
  std::vector<std::vector<double>> times(paths.size());
  std::vector<int> calls;
  for (const auto& w : work) {
    w();
    calls.push_back(std::max(1, static_cast<int>(1e-3 / seconds_of(w, 1))));
  }
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    for (std::size_t i = 0; i < paths.size(); ++i) times[i].push_back(seconds_of(work[i], calls[i]));
  }
  const double portable = median(times[0]);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const double t = median(times[i]);
    if (rows) {
      if (i == 0 || !wanted(i)) continue;
      std::vector<double> ratios;
      for (std::size_t r = 0; r < times[i].size(); ++r) ratios.push_back(times[0][r] / times[i][r]);
      const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
      std::printf("%s\t%s\t%.9g\t%.9g\t%.6g\t%.6g\t%.6g\t%d\n", title.c_str(), paths[i]->name, portable * 1e3, t * 1e3,
                  portable / t, *least, *most, repetitions);
      std::fflush(stdout);
      continue;
    }
    std::printf("%-36s n=%-6zu %-20s %12.3f %s %7.2fx\n", name, n, paths[i]->name, t * scale, unit, portable / t);
  }
}

// Inputs of the kernels for one prime: `count` rows of each kind, and two rows for outputs.
struct Data {
  Data(std::size_t n, u64 q, std::size_t count) {
    Stream stream(1);
    for (std::size_t i = 0; i < 3 * count + 2; ++i) rows.push_back(filled(n, q, Fill::kRandom, stream));
    for (std::size_t i = 0; i < count; ++i) {
      a.push_back(rows[i].data());
      b0.push_back(rows[count + i].data());
      b1.push_back(rows[2 * count + i].data());
      weights.push_back(stream.below(q));
      inverses.push_back(1.0 / static_cast<double>(q));
    }
    for (std::size_t j = 0; j < n; ++j) {  // X -> X^5
      const u64 exponent = (2 * bit_reverse(j, n) + 1) * 5 % (2 * n);
      index.push_back(static_cast<std::uint32_t>(bit_reverse(exponent / 2, n)));
    }
  }
  u64* out(std::size_t i) { return rows[rows.size() - 1 - i].data(); }
  std::vector<Array> rows;
  std::vector<const u64*> a, b0, b1;
  std::vector<u64> weights;
  std::vector<double> inverses;
  std::vector<std::uint32_t> index;
};

void transforms(const std::vector<const Kernels*>& paths, std::size_t n, int bits) {
  const u64 q = prime_below(u64{1} << bits, n);
  std::vector<std::unique_ptr<Tables>> tables;
  std::vector<std::function<void()>> forward;
  std::vector<std::function<void()>> inverse;
  std::vector<std::function<void()>> divide;
  std::vector<std::function<void()>> scale;
  Data data(n, q, 1);
  for (const Kernels* path : paths) {
    tables.push_back(std::make_unique<Tables>(*path, n, q));
    const NttView& view = tables.back()->view;
    forward.push_back([=, &data, &view] { path->ntt_forward(data.out(0), view); });
    inverse.push_back([=, &data, &view] { path->ntt_inverse(data.out(0), view); });
    divide.push_back([=, &data, &view] {
      path->ntt_forward_subtract_multiply(data.out(0), data.a[0], data.b0[0], data.weights[0], view);
    });
    scale.push_back([=, &data, &view] { path->ntt_inverse_multiply(data.out(0), data.a[0], data.weights[0], view); });
  }
  const std::string suffix = " " + std::to_string(bits) + " bits";
  compare(("ntt_forward" + suffix).c_str(), n, paths, forward, 1e9, "ns");
  compare(("ntt_inverse" + suffix).c_str(), n, paths, inverse, 1e9, "ns");
  compare(("forward, subtract, multiply" + suffix).c_str(), n, paths, divide, 1e9, "ns");
  compare(("inverse, multiply" + suffix).c_str(), n, paths, scale, 1e9, "ns");
}

void elements(const std::vector<const Kernels*>& paths, std::size_t n, std::size_t count, int bits) {
  const u64 q = prime_below(u64{1} << bits, n);
  const ModulusConstants m = hetorch::kernels::make_modulus_constants(q);
  Data d(n, q, count);
  const auto each = [&](const std::string& name, const std::function<void(const Kernels&)>& call) {
    std::vector<std::function<void()>> work;
    for (const Kernels* path : paths) work.push_back([=] { call(*path); });
    compare((name + " " + std::to_string(bits) + " bits").c_str(), n, paths, work, 1e9 / static_cast<double>(n),
            "ns/element");
  };
  const std::string of = " of " + std::to_string(count);
  each("add", [&](const Kernels& k) { k.add(d.out(0), d.a[0], d.b0[0], n, m); });
  each("subtract", [&](const Kernels& k) { k.subtract(d.out(0), d.a[0], d.b0[0], n, m); });
  each("negate", [&](const Kernels& k) { k.negate(d.out(0), d.a[0], n, m); });
  each("multiply", [&](const Kernels& k) { k.multiply(d.out(0), d.a[0], d.b0[0], n, m); });
  each("multiply_add", [&](const Kernels& k) { k.multiply_add(d.out(0), d.a[0], d.b0[0], n, m); });
  each("multiply_scalar", [&](const Kernels& k) { k.multiply_scalar(d.out(0), d.a[0], d.weights[0], n, m); });
  each("subtract_multiply_scalar",
       [&](const Kernels& k) { k.subtract_multiply_scalar(d.out(0), d.a[0], d.b0[0], d.weights[0], n, m); });
  each("reduce", [&](const Kernels& k) { k.reduce(d.out(0), d.a[0], n, m); });
  each("reduce_wide", [&](const Kernels& k) { k.reduce_wide(d.out(0), d.a[0], n, m); });
  each("reduce_centred", [&](const Kernels& k) { k.reduce_centred(d.out(0), d.a[0], (u64{1} << 60) - 1, n, m); });
  each("multiply_add_pair",
       [&](const Kernels& k) { k.multiply_add_pair(d.out(0), d.out(1), d.a[0], d.b0[0], d.b1[0], n, m); });
  // One group, and inputs whose second halves are their first ones.
  Stream source(9);
  const Array stream = filled(count * n, q, Fill::kRandom, source);
  each("diagonal_sums" + of, [&](const Kernels& k) {
    u64* const out[] = {d.out(0), d.out(1)};
    const std::size_t groups[] = {count};
    k.diagonal_sums({.values = stream.data(),
                     .shift = 0,
                     .terms = count,
                     .inputs = d.b0.data(),
                     .half = 0,
                     .counts = groups,
                     .groups = 1,
                     .out0 = out,
                     .out1 = out + 1},
                    n, m);
  });
  each("weighted_sum" + of,
       [&](const Kernels& k) { k.weighted_sum(d.out(0), d.a.data(), d.weights.data(), count, n, m); });
  each("weighted_sums, 8 targets" + of, [&](const Kernels& k) {
    std::vector<u64*> out(8);
    for (std::size_t t = 0; t < 8; ++t) out[t] = d.rows[count + t].data();
    const std::vector<const u64*> weights(8, d.weights.data());
    const std::vector<const ModulusConstants*> moduli(8, &m);
    k.weighted_sums(out.data(), d.a.data(), weights.data(), moduli.data(), 8, count, n);
  });
  each("round_quotient" + of,
       [&](const Kernels& k) { k.round_quotient(d.out(0), d.a.data(), d.inverses.data(), count, n); });
  each("permute", [&](const Kernels& k) { k.permute(d.out(0), d.a[0], d.index.data(), n); });
}

}  // namespace

int main(int count, char** arguments) {
  rows = count > 1 && std::strcmp(arguments[1], "--rows") == 0;
  if (rows && count > 2) only = arguments[2];
  std::vector<const Kernels*> paths = {&hetorch::kernels::portable()};
  for (const Kernels* path :
       {hetorch::kernels::avx2(), hetorch::kernels::avx512ifma(), hetorch::kernels::avx512wide()}) {
    if (path != nullptr) paths.push_back(path);
  }
  const auto taking = [&](int bits) {
    std::vector<const Kernels*> wide_enough;
    for (const Kernels* path : paths) {
      if (bits <= path->modulus_bits) wide_enough.push_back(path);
    }
    return wide_enough;
  };
  for (std::size_t n : {4096, 8192, 16384, 32768, 65536}) {
    for (int bits : {45, 50, 60}) transforms(taking(bits), n, bits);
  }
  for (std::size_t n : {4096, 16384}) {
    for (int bits : {45, 60}) elements(taking(bits), n, 4, bits);
  }
  return 0;
}
