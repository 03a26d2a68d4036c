#include "worker/device/host_device.h"

#include "gtest/gtest.h"

namespace navit {
namespace {

TEST(HostDevice, AnEventOrdersTwoStreams) {
  HostDevice device;
  const OwnedStream first = *OwnedStream::Make(&device), second = *OwnedStream::Make(&device);
  const OwnedEvent event = *OwnedEvent::Make(&device);
  ASSERT_TRUE(device.Wait(event.get(), second.get()).ok());
  ASSERT_TRUE(device.Await(event.get()).ok());
  EXPECT_TRUE(*device.Idle(second.get())) << "an event that was never recorded is waited for";

  bool done = false;
  HostDevice::Enqueue(first.get(), [&done] { return done = true; });
  ASSERT_TRUE(device.Record(event.get(), first.get()).ok());
  ASSERT_TRUE(device.Wait(event.get(), second.get()).ok());
  EXPECT_FALSE(*device.Idle(second.get()));
  EXPECT_FALSE(done);
  ASSERT_TRUE(device.Await(event.get()).ok());
  EXPECT_TRUE(done);
  EXPECT_TRUE(*device.Idle(second.get()));
}

}  // namespace
}  // namespace navit
