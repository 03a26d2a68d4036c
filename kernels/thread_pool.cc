#include "kernels/thread_pool.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cassert>

namespace navit::kernels {

ThreadPool::ThreadPool(int num_threads) : num_threads_(num_threads) {
  assert(num_threads >= 1);
  for (int thread = 1; thread < num_threads_; ++thread) {
    threads_.emplace_back([this, thread] { Loop(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

// Debian's oneDNN is the OpenMP build. Its team size is a setting of each calling thread.
void ThreadPool::Loop(int thread) {
  omp_set_num_threads(1);
  uint64_t seen = 0;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    start_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    const std::function<void(int)>& job = *job_;
    lock.unlock();
    job(thread);
    lock.lock();
    if (--running_ == 0) done_.notify_one();
  }
}

void ThreadPool::Run(const std::function<void(int thread)>& job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    job_ = &job;
    running_ = num_threads_ - 1;
    ++round_;
  }
  start_.notify_all();
  omp_set_num_threads(1);
  job(0);
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [&] { return running_ == 0; });
}

void ThreadPool::ParallelFor(int64_t count, int64_t grain,
                             const std::function<void(int64_t begin, int64_t end)>& body) {
  if (count <= 0) return;
  const int64_t grains = (count + grain - 1) / grain;
  const auto border = [&](int64_t thread) {
    return std::min(count, grains * thread / num_threads_ * grain);
  };
  if (grains == 1 || num_threads_ == 1) {
    omp_set_num_threads(1);
    body(0, count);
    return;
  }
  Run([&](int thread) {
    const int64_t begin = border(thread), end = border(thread + 1);
    if (begin < end) body(begin, end);
  });
}

void ThreadPool::ParallelTasks(int64_t count, const std::function<void(int64_t task)>& body) {
  if (count <= 0) return;
  if (count == 1 || num_threads_ == 1) {
    omp_set_num_threads(1);
    for (int64_t task = 0; task < count; ++task) body(task);
    return;
  }
  std::atomic<int64_t> next{0};
  Run([&](int) {
    for (int64_t task = next++; task < count; task = next++) body(task);
  });
}

}  // namespace navit::kernels
