#include <cstring>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "kernels/cuda/host_twin/grid.h"
#include "kernels/cuda/host_twin/memory.h"
#include "kernels/cuda/test_device.h"

namespace navit::kernels::cuda {
namespace {

struct SyncSites {
  std::set<std::string> passed, needed;
};

SyncSites& Sites() {
  static auto* sites = new SyncSites;
  return *sites;
}

class EverySyncIsNeeded : public testing::Environment {
  void TearDown() override {
    for (const std::string& site : Sites().passed) {
      EXPECT_TRUE(Sites().needed.contains(site)) << site << ": nothing fails without it";
    }
  }
};
[[maybe_unused]] const auto* const kEnvironment =
    testing::AddGlobalTestEnvironment(new EverySyncIsNeeded);

bool SameBits(const std::vector<Floats>& a, const std::vector<Floats>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    if (std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  }
  return true;
}

}  // namespace

std::string WhyNoDevice() { return ""; }

struct DeviceBytes::Memory {
  explicit Memory(size_t bytes) : region("a buffer of " + std::to_string(bytes), bytes) {}
  twin::Region region;
};

DeviceBytes::DeviceBytes(size_t bytes) : memory_(new Memory(bytes)) {}
DeviceBytes::~DeviceBytes() {
  if (memory_ != nullptr) memory_->region.CheckGuards();
}
void* DeviceBytes::data() const { return memory_->region.data(); }
void DeviceBytes::Write(size_t offset, const void* from, size_t bytes) {
  if (bytes == 0) return;
  std::memcpy(memory_->region.data() + offset, from, bytes);
  memory_->region.SetWritten(offset, bytes);
}
void DeviceBytes::Read(void* to, size_t bytes) const {
  if (bytes != 0) std::memcpy(to, memory_->region.data(), bytes);
}

std::vector<Floats> RunOnDevice(const std::function<std::vector<Floats>()>& run) {
  twin::TakeFindings();
  twin::TakeSyncSites();
  std::vector<Floats> outputs;
  for (uint64_t seed : {0, 1, 2}) {
    twin::GetOptions() = {};
    twin::GetOptions().seed = seed;
    std::vector<Floats> now = run();
    const twin::Findings findings = twin::TakeFindings();
    for (const std::string& text : findings.texts) ADD_FAILURE() << text;
    if (seed == 0)
      outputs = std::move(now);
    else
      EXPECT_TRUE(SameBits(outputs, now)) << "the result depends on the order of threads";
    if (findings.count > 0) return outputs;
  }
  for (const std::string& site : twin::TakeSyncSites()) {
    Sites().passed.insert(site);
    if (Sites().needed.contains(site)) continue;
    twin::GetOptions().seed = 2;
    twin::GetOptions().skip = site;
    run();
    if (twin::TakeFindings().count > 0) Sites().needed.insert(site);
  }
  twin::GetOptions() = {};
  return outputs;
}

}  // namespace navit::kernels::cuda
