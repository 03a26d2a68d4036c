#include "kernels/cuda/host_twin/streams.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace navit::kernels::cuda::twin {

struct Schedule::Queued {
  struct Work {
    std::function<void()> run;
    // Begins when this record of an event is done.
    const Event* after = nullptr;
    int64_t record = 0;
  };
  Schedule* schedule;
  uint64_t speed;
  std::deque<Work> work;
};

void Queue(Stream stream, std::function<void()> work) {
  if (stream == nullptr) return work();
  Schedule::Queued* const queued = Schedule::Of(stream);
  queued->schedule->Add(queued, std::move(work));
}

Schedule::Schedule(uint64_t seed) : speeds_(seed), random_(seed) {}

Schedule::~Schedule() = default;

Stream Schedule::CreateStream() {
  streams_.emplace_back(new Queued{this, speeds_ % 3, {}});
  speeds_ /= 3;
  return reinterpret_cast<Stream>(streams_.back().get());
}

void Schedule::DestroyStream(Stream stream) {
  RunStream(stream);
  std::erase_if(streams_, [stream](const auto& other) { return other.get() == Of(stream); });
}

int Schedule::CreateEvent() {
  events_.emplace_back();
  return static_cast<int>(events_.size()) - 1;
}

void Schedule::Record(int event, Stream stream) {
  Event& to = events_[event];
  to.stream = Of(stream);
  Add(to.stream, [&to, record = ++to.records] { to.done = record; });
}

bool Schedule::Counts(int event, Waiter waiter) {
  if (events_[event].done == events_[event].records) return false;
  waits_.insert({event, waiter});
  return !skipped_.contains({event, waiter});
}

void Schedule::Wait(int event, Stream stream) {
  if (!Counts(event, Waiter::kStream)) return;
  const Event& after = events_[event];
  Of(stream)->work.push_back({[] {}, &after, after.records});
}

void Schedule::Add(Queued* stream, std::function<void()> work) {
  stream->work.push_back({std::move(work)});
  RunFast();
}

bool Schedule::Ready(const Queued& stream) const {
  if (stream.work.empty()) return false;
  const Queued::Work& next = stream.work.front();
  return next.after == nullptr || next.after->done >= next.record;
}

void Schedule::RunOne(Queued* stream) {
  const Queued::Work work = std::move(stream->work.front());
  stream->work.pop_front();
  work.run();
}

void Schedule::RunFast() {
  for (bool any = true; any;) {
    any = false;
    for (const auto& stream : streams_) {
      while (stream->speed == 2 && Ready(*stream)) {
        RunOne(stream.get());
        any = true;
      }
    }
  }
  for (const auto& stream : streams_) {
    while (stream->speed == 1 && random_() % 2 == 0 && Ready(*stream)) RunOne(stream.get());
  }
}

void Schedule::RunUntil(const std::function<bool()>& done, Queued* wanted) {
  while (true) {
    RunFast();
    if (done()) return;
    Queued* next = wanted;
    if (!Ready(*wanted)) {
      std::vector<Queued*> ready;
      for (const auto& stream : streams_) {
        if (Ready(*stream)) ready.push_back(stream.get());
      }
      if (ready.empty()) {
        std::cerr << "streams wait for each other for ever" << std::endl;
        std::abort();
      }
      next = ready[random_() % ready.size()];
    }
    RunOne(next);
  }
}

void Schedule::RunStream(Stream stream) {
  if (stream == nullptr) return;
  RunUntil([stream] { return Of(stream)->work.empty(); }, Of(stream));
}

void Schedule::RunEvent(int event) {
  if (!Counts(event, Waiter::kHost)) return;
  const Event& to = events_[event];
  RunUntil([&to] { return to.done == to.records; }, to.stream);
}

void Schedule::RunAll() {
  for (const auto& stream : streams_) RunStream(reinterpret_cast<Stream>(stream.get()));
}

bool Schedule::Idle(Stream stream) {
  RunFast();
  return stream == nullptr || Of(stream)->work.empty();
}

}  // namespace navit::kernels::cuda::twin
