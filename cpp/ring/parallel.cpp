#include "ring/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "ring/platform.h"
#include "ring/spin.h"

namespace hetorch::ring {
namespace {

thread_local bool inside_body = false;

// One parallel loop. The caller and some threads of the pool take its tasks one by one until none is left.
struct Job {
  const std::function<void(std::size_t)>* body;
  std::size_t count;
  int core = -1;  // the caller's core, or -1 if unknown
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> finished{0};
  platform::Mutex mutex;
  platform::Condition done;
  std::exception_ptr error;

  void work() {
    inside_body = true;
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      try {
        (*body)(i);
      } catch (...) {
        platform::Lock lock(mutex);
        if (!error) error = std::current_exception();
      }
      if (finished.fetch_add(1) + 1 == count) {
        platform::Lock lock(mutex);
        done.notify_all();
      }
    }
    inside_body = false;
  }
};

class Pool {
 public:
  explicit Pool(std::size_t workers) {
    // If the system gives no more threads, the callers do the rest of the work.
    while (workers_ < workers && platform::start_thread([this] { serve(); })) ++workers_;
  }

  // Let up to `helpers` threads work on the job.
  void offer(const std::shared_ptr<Job>& job, std::size_t helpers) {
    helpers = std::min(helpers, workers_);
    {
      platform::Lock lock(mutex_);
      for (std::size_t i = 0; i < helpers; ++i) jobs_.push_back(job);
      waiting_.store(jobs_.size(), std::memory_order_release);
    }
    if (helpers == 1) {
      wake_.notify_one();
    } else {
      wake_.notify_all();
    }
  }

 private:
  void serve() {
    for (;;) {
      // The next loop of the same computation usually begins within microseconds: less than it takes to wake a thread.
      spin_until([this] { return waiting_.load(std::memory_order_acquire) != 0; });
      std::shared_ptr<Job> job;
      {
        platform::Lock lock(mutex_);
        wake_.wait(lock, [this] { return !jobs_.empty(); });
        job = std::move(jobs_.front());
        jobs_.pop_front();
        waiting_.store(jobs_.size(), std::memory_order_release);
      }
      // Linux wakes a thread on its waker's core, and may leave both there for milliseconds although another core is
      // idle: after a pause, a computation ran as if it had one thread less.
      platform::leave_core(job->core);
      job->work();
    }
  }

  std::size_t workers_ = 0;  // only the constructor writes it
  platform::Mutex mutex_;
  platform::Condition wake_;
  std::deque<std::shared_ptr<Job>> jobs_;
  std::atomic<std::size_t> waiting_{0};  // jobs_.size(), readable without the lock
};

std::size_t read_thread_count() {
  if (!platform::kThreads) return 1;
  if (const char* text = std::getenv("HETORCH_NUM_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (*end != '\0' || value < 1 || value > 256) {
      throw std::runtime_error("HETORCH_NUM_THREADS is '" + std::string(text) +
                               "', expected a whole number from 1 to 256");
    }
    return static_cast<std::size_t>(value);
  }
  return platform::usable_cores();
}

// The pool of this process. A forked child has none of its parent's threads, so it makes a pool of its own at its first
// use.
struct PoolOfProcess {
  platform::Mutex mutex;
  Pool* pool = nullptr;
  long owner = 0;

  Pool& get(std::size_t workers) {
    platform::Lock lock(mutex);
    const long process = platform::process_id();
    if (pool == nullptr || owner != process) {
      pool = new Pool(workers);  // never deleted: its threads use it until the process ends
      owner = process;
    }
    return *pool;
  }
};

}  // namespace

std::size_t thread_count() {
  static const std::size_t count = read_thread_count();
  return count;
}

void parallel_for(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  const std::size_t threads = thread_count();
  if (threads == 1 || count == 1 || inside_body) {
    for (std::size_t i = 0; i < count; ++i) body(i);
    return;
  }
  static PoolOfProcess process;
  auto job = std::make_shared<Job>();
  job->body = &body;
  job->count = count;
  job->core = platform::current_core();
  process.get(threads - 1).offer(job, std::min(threads, count) - 1);
  job->work();
  spin_until([&] { return job->finished.load(std::memory_order_acquire) == count; });
  platform::Lock lock(job->mutex);
  job->done.wait(lock, [&] { return job->finished.load() == count; });
  // Moved out of the job: a thread of the pool may release the job later, and must not free the caller's exception
  // then.
  const std::exception_ptr error = std::exchange(job->error, nullptr);
  lock.unlock();
  if (error) std::rethrow_exception(error);
}

}  // namespace hetorch::ring
