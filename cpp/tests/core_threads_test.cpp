// The pool of threads: each task runs once, exceptions, nested loops, many callers, forks. Evaluation by many threads
// at once, or with any number of them, gives the bits of one thread.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "core_session.h"
#include "ring/parallel.h"

namespace {

using namespace session;
using ring::parallel_for;

constexpr std::size_t kThreads = 4;
constexpr std::size_t kCallers = 6;

template <class Body>
void on_many_threads(std::size_t count, const Body& body) {
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < count; ++t) threads.emplace_back([&body, t] { body(t); });
  for (std::thread& thread : threads) thread.join();
}

void every_task_once() {
  for (std::size_t count : {0, 1, 2, 3, 4, 5, 100, 1000}) {
    std::vector<std::size_t> done(count);  // not atomic: no two tasks may share an index
    parallel_for(count, [&](std::size_t i) { done[i] += i + 1; });
    for (std::size_t i = 0; i < count; ++i) CHECK(done[i] == i + 1, std::to_string(count).c_str());
  }
}

void exceptions() {
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::atomic<int> started{0};
    CHECK(throws<std::out_of_range>([&] {
            parallel_for(64, [&](std::size_t i) {
              ++started;
              if (i % 3 == 0) throw std::out_of_range("task");
            });
          }),
          "the exception of a task");
    CHECK(started == 64, "the other tasks ran");
    CHECK(throws<int>([&] { parallel_for(1, [](std::size_t) { throw 1; }); }), "one task");
  }
  std::atomic<int> after{0};
  parallel_for(64, [&](std::size_t) { ++after; });
  CHECK(after == 64, "the pool works after exceptions");
}

void nesting() {
  std::vector<std::atomic<int>> counts(20 * 20);
  parallel_for(20, [&](std::size_t i) {
    const std::thread::id outer = std::this_thread::get_id();
    parallel_for(20, [&](std::size_t j) {
      ++counts[20 * i + j];
      CHECK(std::this_thread::get_id() == outer, "an inner task stays on its thread");
    });
  });
  for (const std::atomic<int>& c : counts) CHECK(c == 1, "nested tasks run once");
  CHECK(throws<std::runtime_error>([] {
          parallel_for(8, [](std::size_t) { parallel_for(8, [](std::size_t) { throw std::runtime_error("inner"); }); });
        }),
        "an exception through two levels");
}

void many_callers() {
  std::vector<std::size_t> sums(kCallers);
  on_many_threads(kCallers, [&](std::size_t t) {
    for (int repeat = 0; repeat < 200; ++repeat) {
      std::vector<std::size_t> parts(37);
      bool thrown = false;
      try {
        parallel_for(parts.size(), [&](std::size_t i) {
          parts[i] = i * t;
          if (repeat % 5 == 0 && i == t) throw t;
        });
      } catch (std::size_t who) {
        thrown = who == t;
      }
      if (thrown == (repeat % 5 == 0)) sums[t] += std::accumulate(parts.begin(), parts.end(), std::size_t{0});
    }
  });
  for (std::size_t t = 0; t < kCallers; ++t) CHECK(sums[t] == 200 * t * (36 * 37 / 2), std::to_string(t).c_str());
}

// Many threads evaluate with one set of keys, permutations that are computed at their first use, and one pool of
// buffers.
void evaluation() {
  const Shape shape{256, 49, 4, 2, 2};
  Session owner(shape);
  for (std::int64_t steps = 1; steps <= 8; ++steps) owner.make_rotation_key(steps, 3);
  owner.make_relinearisation_key(3);
  const ckks::Ciphertext x = owner.encrypt(owner.values(), 3, shape.scale());
  const auto program = [&](const ckks::Context& context) {
    const ckks::Evaluator evaluator(context, &owner.keys);
    ckks::Ciphertext sum = x;
    for (std::int64_t steps = 1; steps <= 8; ++steps) sum = evaluator.add(sum, evaluator.rotate(x, steps));
    return evaluator.rescale(evaluator.multiply(sum, x));
  };
  std::vector<ckks::Ciphertext> results(kCallers);
  // Another context, so that all threads find no permutation computed.
  const Session cold(shape);
  on_many_threads(kCallers, [&](std::size_t t) {
    for (int repeat = 0; repeat < 3; ++repeat) results[t] = program(cold.context);
  });
  const ckks::Ciphertext expected = program(owner.context);
  for (const ckks::Ciphertext& result : results) CHECK(same_bits(result, expected), "the bits of one thread");
}

// Many threads take and return blocks of the same size; no thread sees the words of another.
void buffers() {
  std::atomic<int> mixed{0};
  on_many_threads(kCallers, [&](std::size_t t) {
    for (int repeat = 0; repeat < 500; ++repeat) {
      ring::Buffer a(100 + repeat % 3);
      std::fill_n(a.data(), a.size(), t);
      ring::Buffer b = a;
      ring::Buffer c = std::move(a);
      a = b;
      b = std::move(c);
      for (std::size_t i = 0; i < b.size(); ++i) mixed += a.data()[i] != t || b.data()[i] != t;
      b.wipe();
      for (std::size_t i = 0; i < b.size(); ++i) mixed += b.data()[i] != 0;
    }
  });
  CHECK(mixed == 0, "a block belongs to one owner");
}

// A forked child has none of its parent's threads and starts its own. The thread sanitizer cannot follow a fork of many
// threads.
void fork_after_use() {
#ifndef __SANITIZE_THREAD__
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<std::size_t> sum{0};
    parallel_for(100, [&](std::size_t i) { sum += i; });
    _exit(sum == 4950 ? 0 : 1);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child");
#endif
}

// FNV-1a of all words.
u64 digest(u64 hash, const ckks::Ciphertext& a) {
  for (const ring::NttPoly& part : a.body.parts) {
    for (std::size_t i = 0; i < part.words(); ++i) hash = (hash ^ part.row(0)[i]) * 0x100000001b3;
  }
  return hash;
}

// Run in a child process with `threads` threads all operations that cut their work into groups of rows, and return a
// digest of the results; 0 if the child failed.
u64 digest_on(std::size_t threads, const Shape& shape) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    setenv("HETORCH_NUM_THREADS", std::to_string(threads).c_str(), 1);
    Session s(shape);
    const std::size_t level = shape.data - 1;
    s.make_rotation_key(1, level);
    s.make_relinearisation_key(level);
    Values values = s.values();
    const ckks::Ciphertext x = s.encrypt(values, level, shape.scale());
    const ckks::Evaluator evaluator = s.evaluator();
    const std::int64_t steps[] = {1};
    const ckks::Ciphertext rotated = evaluator.rotate(x, 1);
    const ckks::Ciphertext rescaled = evaluator.rescale(evaluator.multiply(x, x));
    const ckks::Ciphertext at_once = evaluator.relinearise_rescale(evaluator.multiply_raw(x, x));
    u64 hash = digest(0xcbf29ce484222325, rotated);
    hash = digest(hash, evaluator.rotate_many(x, steps)[0]);
    hash = digest(hash, rescaled);
    hash = digest(hash, at_once);
    // The results must be right, too: all other tests have short rows.
    std::rotate(values.begin(), values.begin() + 1, values.end());
    const bool right =
        distance(s.decrypt(rotated), values) < s.fresh_bound(shape.scale()) + s.switched_bound(level, shape.scale()) &&
        distance(s.decrypt(at_once), s.decrypt(rescaled)) < 2 * s.switched_bound(level, at_once.scale);
    const bool whole = write(ends[1], &hash, sizeof hash) == sizeof hash;
    _exit(right && whole ? 0 : 1);
  }
  close(ends[1]);
  u64 hash = 0;
  int status = 1;
  const bool whole = read(ends[0], &hash, sizeof hash) == sizeof hash;
  close(ends[0]);
  const bool well = waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return whole && well ? hash : 0;
}

// The size of groups depends on the number of threads, the bits do not. This must run before the first use of the pool,
// because a process reads the number of threads once, and the thread sanitizer follows the fork of one thread only.
void groups_of_any_size() {
  // Rows that fit the second-level cache; longer ones, alone in their groups; longer ones, with many sources.
  for (const Shape& shape : {Shape{256, 45, 7, 3, 3}, Shape{32768, 45, 5, 2, 2}, Shape{65536, 45, 5, 5, 5}}) {
    const u64 expected = digest_on(1, shape);
    CHECK(expected != 0, shape.describe().c_str());
    for (std::size_t threads : {2, 3, 7}) CHECK(digest_on(threads, shape) == expected, shape.describe().c_str());
  }
}

}  // namespace

int main() {
  groups_of_any_size();
  setenv("HETORCH_NUM_THREADS", std::to_string(kThreads).c_str(), 1);
  CHECK(ring::thread_count() == kThreads, "HETORCH_NUM_THREADS");
  every_task_once();
  exceptions();
  nesting();
  many_callers();
  evaluation();
  buffers();
  fork_after_use();
  return check::status();
}
