// Learned tokens in front of each segment: _cuda against _ref.
#include "kernels/prefix_tokens.h"

#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/prefix_tokens.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"

namespace navit::kernels::cuda {
namespace {

class PrefixTokensTest : public DeviceTest {
 protected:
  // Empty segments at every place, segments of one token, more segments than a slab has.
  static std::vector<std::vector<int32_t>> Packs() {
    std::vector<std::vector<int32_t>> packs = {{0}, {0, 0}, {0, 1}, {0, 0, 3, 3, 4, 9, 9}};
    packs.push_back({0});
    for (int32_t s = 0; s < 70; ++s) packs.back().push_back(packs.back().back() + s % 3);
    return packs;
  }
};

constexpr int64_t kPadding = 3;

TEST_F(PrefixTokensTest, Insert) {
  for (const std::vector<int32_t>& cu : Packs()) {
    const int64_t segments = static_cast<int64_t>(cu.size()) - 1, used = cu.back();
    for (const auto& [prefix_tokens, dim] : {std::pair(1, 8), std::pair(3, 13)}) {
      const int64_t tokens = used + segments * prefix_tokens;
      const Floats x = RandomBf16(used * dim, 1), prefix = RandomBf16(prefix_tokens * dim, 2);
      for (const bool zeros : {false, true}) {
        Floats want((tokens + kPadding) * dim, 0);
        ref::InsertPrefix({segments, prefix_tokens, dim, cu.data(), x.data(),
                           zeros ? nullptr : prefix.data(), want.data()});
        const auto got = RunOnDevice([&]() -> std::vector<Floats> {
          const DeviceArray<int32_t> device_cu(cu);
          const DeviceArray<Bf16> device_x(ToBf16(x)), y(want.size());
          const DeviceArray<float> device_prefix(prefix);
          EXPECT_TRUE(
              InsertPrefix({tokens + kPadding, used, segments, prefix_tokens, dim, device_cu.data(),
                            device_x.data(), zeros ? nullptr : device_prefix.data(), y.data()},
                           nullptr)
                  .ok());
          return {ToFloats(y.Read())};
        });
        EXPECT_EQ(want, got[0]);
      }
    }
  }
}

TEST_F(PrefixTokensTest, Remove) {
  for (const std::vector<int32_t>& cu : Packs()) {
    const int64_t segments = static_cast<int64_t>(cu.size()) - 1, used = cu.back();
    for (const auto& [prefix_tokens, dim] : {std::pair(1, 8), std::pair(3, 13)}) {
      const Floats y = RandomBf16((used + segments * prefix_tokens) * dim, 1);
      const Floats before = RandomFloats(prefix_tokens * dim, 2);
      Floats want((used + kPadding) * dim, 0), dprefix = before;
      ref::RemovePrefix(
          {segments, prefix_tokens, dim, cu.data(), y.data(), want.data(), dprefix.data()});
      const auto got = RunOnDevice([&]() -> std::vector<Floats> {
        const DeviceArray<int32_t> device_cu(cu);
        const DeviceArray<Bf16> device_y(ToBf16(y)), x(want.size());
        const DeviceArray<float> device_dprefix(before);
        const DeviceArray<float> partial(PrefixSlabs(segments) * prefix_tokens * dim);
        EXPECT_TRUE(
            RemovePrefix({used + kPadding, used, segments, prefix_tokens, dim, device_cu.data(),
                          device_y.data(), x.data(), device_dprefix.data(), partial.data()},
                         nullptr)
                .ok());
        return {ToFloats(x.Read()), device_dprefix.Read()};
      });
      EXPECT_EQ(want, got[0]);
      ExpectClose(dprefix, got[1], 1e-5f, 1e-5f, "dprefix");
    }
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
