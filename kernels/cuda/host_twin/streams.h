// Streams and events of the twin. What is queued on a stream runs later, on the host's thread, in
// an order that nothing fixes but streams and events: a wait that is missing shows in what is
// computed, under some seeds.
#ifndef NAVIT_KERNELS_CUDA_HOST_TWIN_STREAMS_H_
#define NAVIT_KERNELS_CUDA_HOST_TWIN_STREAMS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "kernels/cuda/launch.h"

namespace navit::kernels::cuda::twin {

// Work of the stream; on the null stream it is done at once.
void Queue(Stream stream, std::function<void()> work);

// The streams of one device. Of one thread.
class Schedule {
 public:
  // Digit k of `seed` in base 3 says how fast the stream is that was created as the k-th: 0 only
  // when the host waits for its work or for what comes after it, 1 now and then, 2 at once. So
  // 3^streams seeds have every mixture; larger ones draw "now and then" differently.
  explicit Schedule(uint64_t seed);
  ~Schedule();

  Stream CreateStream();
  // After what is queued on it.
  void DestroyStream(Stream stream);

  // Events are numbered from 0 and are there to the end.
  int CreateEvent();
  void Record(int event, Stream stream);
  // As cudaStreamWaitEvent: for the record before this call, if there was one.
  void Wait(int event, Stream stream);

  // What the host waits for: all of a stream, the last record of an event, everything.
  void RunStream(Stream stream);
  void RunEvent(int event);
  void RunAll();
  // Whether nothing is queued; what runs by itself goes on before.
  bool Idle(Stream stream);

  enum class Waiter { kStream, kHost };
  // Waits for the event by streams, or by the host, do nothing from now on. Shows that they are
  // needed.
  void SkipWaits(int event, Waiter waiter) { skipped_.insert({event, waiter}); }
  // Those that had something to wait for: a record that was not done.
  const std::set<std::pair<int, Waiter>>& waits() const { return waits_; }

 private:
  friend void Queue(Stream stream, std::function<void()> work);
  struct Queued;
  struct Event {
    // Records so far, the last one that is done, and where it was queued.
    int64_t records = 0, done = 0;
    Queued* stream = nullptr;
  };

  static Queued* Of(Stream stream) { return reinterpret_cast<Queued*>(stream); }
  void Add(Queued* stream, std::function<void()> work);
  bool Ready(const Queued& stream) const;
  // The next work of a stream that is ready.
  void RunOne(Queued* stream);
  // Fast streams as far as they come, others a little.
  void RunFast();
  void RunUntil(const std::function<bool()>& done, Queued* wanted);
  bool Counts(int event, Waiter waiter);

  uint64_t speeds_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Queued>> streams_;
  std::deque<Event> events_;
  std::set<std::pair<int, Waiter>> skipped_, waits_;
};

}  // namespace navit::kernels::cuda::twin

#endif  // NAVIT_KERNELS_CUDA_HOST_TWIN_STREAMS_H_
