#include "kernels/cuda/host_twin/streams.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace navit::kernels::cuda::twin {
namespace {

constexpr uint64_t kMixturesOfTwo = 9;

TEST(Streams, TheNullStreamWorksAtOnce) {
  int done = 0;
  Queue(nullptr, [&] { ++done; });
  EXPECT_EQ(1, done);
}

// What two streams write, over all mixtures of their speeds.
std::set<std::string> Orders(bool with_event) {
  std::set<std::string> orders;
  for (uint64_t seed = 0; seed < kMixturesOfTwo; ++seed) {
    Schedule schedule(seed);
    const Stream a = schedule.CreateStream(), b = schedule.CreateStream();
    const int event = schedule.CreateEvent();
    std::string order;
    Queue(a, [&] { order += "1"; });
    Queue(a, [&] { order += "2"; });
    schedule.Record(event, a);
    if (with_event) schedule.Wait(event, b);
    Queue(b, [&] { order += "x"; });
    schedule.RunStream(b);
    schedule.RunStream(a);
    orders.insert(order);
  }
  return orders;
}

TEST(Streams, NothingButEventsOrdersThem) {
  const std::set<std::string> free = Orders(false);
  EXPECT_TRUE(free.contains("12x")) << "as it was queued";
  EXPECT_TRUE(free.contains("x12")) << "a stream that is late";
  for (const std::string& order : free) EXPECT_LT(order.find('1'), order.find('2'));
  EXPECT_EQ(std::set<std::string>{"12x"}, Orders(true));
}

TEST(Streams, AWaitIsForTheRecordBeforeIt) {
  Schedule schedule(0);
  const Stream a = schedule.CreateStream(), b = schedule.CreateStream();
  const int event = schedule.CreateEvent();
  std::string order;
  schedule.Wait(event, b);  // For nothing.
  Queue(a, [&] { order += "1"; });
  schedule.Record(event, a);
  schedule.Wait(event, b);
  Queue(a, [&] { order += "2"; });
  schedule.Record(event, a);
  Queue(b, [&] { order += "x"; });
  schedule.RunStream(b);
  EXPECT_EQ("1x", order);
  schedule.RunEvent(event);
  EXPECT_EQ("1x2", order);
  EXPECT_TRUE(schedule.Idle(a));
}

TEST(Streams, SkippedWaitsOrderNothing) {
  Schedule schedule(0);
  const Stream a = schedule.CreateStream(), b = schedule.CreateStream();
  const int event = schedule.CreateEvent();
  schedule.SkipWaits(event, Schedule::Waiter::kStream);
  std::string order;
  Queue(a, [&] { order += "1"; });
  schedule.Record(event, a);
  schedule.Wait(event, b);
  Queue(b, [&] { order += "x"; });
  schedule.RunStream(b);
  EXPECT_EQ("x", order);
  EXPECT_TRUE(schedule.waits().contains({event, Schedule::Waiter::kStream}));
  schedule.RunAll();
  EXPECT_EQ("x1", order);
}

}  // namespace
}  // namespace navit::kernels::cuda::twin
