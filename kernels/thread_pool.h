// A fixed set of threads that run the kernels of one rank.
#ifndef NAVIT_KERNELS_THREAD_POOL_H_
#define NAVIT_KERNELS_THREAD_POOL_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace navit::kernels {

// Owns num_threads − 1 threads; the caller of ParallelFor and ParallelTasks is the last one. One
// caller at a time (a rank's step loop); bodies must not call the pool that runs them, and must not
// throw. Both calls return when all of the work is done, and what the bodies wrote is then visible
// to the caller. oneDNN calls inside a body run single-threaded (the OpenMP team size of the
// calling thread is set to 1 and stays so).
//
// The number of threads is part of what bit-equality is promised for, although every kernel here
// gives the same bits for any number: none of them lets the partition change an order of summation.
class ThreadPool {
 public:
  // `num_threads` >= 1.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return num_threads_; }

  // Cuts [0, count) into at most num_threads() contiguous ranges of near-equal length, whose inner
  // borders are multiples of `grain` (>= 1), and calls body(begin, end) once for each that is not
  // empty. The cut depends on (count, grain, num_threads()) alone.
  void ParallelFor(int64_t count, int64_t grain,
                   const std::function<void(int64_t begin, int64_t end)>& body);

  // Calls body(task) for each task in [0, count). Threads take the next task when they are free, so
  // a task may neither depend on another nor on the thread that runs it.
  void ParallelTasks(int64_t count, const std::function<void(int64_t task)>& body);

 private:
  void Loop(int thread);
  // Runs job(thread) on all threads, 0 being the caller.
  void Run(const std::function<void(int thread)>& job);

  const int num_threads_;
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  // All below guarded by mutex_.
  const std::function<void(int)>* job_ = nullptr;
  uint64_t round_ = 0;
  int running_ = 0;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_THREAD_POOL_H_
