// Packed attention: _cuda against _ref, and the promises of bits.
#include "kernels/segment_attention.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cuda/head_dims.h"
#include "kernels/cuda/segment_attention.h"
#include "kernels/cuda/test_device.h"
#include "kernels/cuda/test_values.h"

namespace navit::kernels::cuda {
namespace {

class SegmentAttentionTest : public DeviceTest {};

// The arrays of an AttentionWork on the device.
class Work {
 public:
  Work(const std::vector<int32_t>& cu_seqlens, int32_t max_rows)
      : host_(MakeAttentionWork(cu_seqlens.data(), cu_seqlens.size() - 1, max_rows)),
        blocks_(host_.blocks),
        segments_(host_.segments),
        tiles_(host_.tiles) {}
  DeviceAttentionWork device() const {
    return {static_cast<int64_t>(host_.blocks.size()),
            blocks_.data(),
            segments_.data(),
            tiles_.data(),
            host_.chunk_rows,
            host_.used_tokens};
  }

 private:
  const AttentionWork host_;
  const DeviceArray<AttentionBlock> blocks_;
  const DeviceArray<AttentionSegment> segments_;
  const DeviceArray<AttentionTile> tiles_;
};

struct Case {
  std::vector<int32_t> cu_seqlens;
  int64_t tokens, heads, head_dim;
  bool causal;
  int32_t max_rows = 256;
};

// Odd lengths, empty and one-token segments, several in one block, more than one pass over the
// scores (over 128), more than one chunk (over max_rows), padding, nothing at all; then all sizes
// of heads.
std::vector<Case> Cases() {
  std::vector<Case> cases = {
      {{0, 5}, 5, 1, 64, false},
      {{0, 0, 1, 17, 17, 33, 70}, 75, 2, 16, false},
      {{0, 16, 64}, 64, 1, 64, false},
      {{0, 3, 74, 80}, 80, 2, 64, true},
      {{0, 145}, 150, 1, 64, false},
      {{0, 145, 300}, 300, 1, 16, true, 64},
      {{0, 70, 205, 210}, 211, 1, 16, false, 64},
      {{0, 0}, 3, 2, 16, false},
      {{0, 70, 75}, 75, 1, 72, true, 64},
      {{0, 150}, 150, 1, 128, false, 128},
  };
  for (const int64_t head_dim : kHeadDims) {
    cases.push_back({{0, 5, 5, 38}, 41, 2, head_dim, head_dim % 16 == 8});
  }
  return cases;
}

struct Inputs {
  explicit Inputs(const Case& c)
      : used(c.cu_seqlens.back()),
        width(c.heads * c.head_dim),
        qkv(RandomBf16(c.tokens * 3 * width, 1, 1.5f)),
        dout(RandomBf16(c.tokens * width, 2)) {}
  int64_t used, width;
  Floats qkv, dout;
  // Without padding, which a kernel must not read.
  Floats used_qkv() const { return Floats(qkv.begin(), qkv.begin() + used * 3 * width); }
  Floats used_dout() const { return Floats(dout.begin(), dout.begin() + used * width); }
};

std::vector<Floats> Forward(const Case& c, const Inputs& inputs) {
  DeviceArray<Bf16> qkv(c.tokens * 3 * inputs.width);
  qkv.Write(ToBf16(inputs.used_qkv()));
  const DeviceArray<Bf16> out(c.tokens * inputs.width);
  const DeviceArray<float> lse(c.tokens * c.heads);
  const Work work(c.cu_seqlens, c.max_rows);
  EXPECT_TRUE(SegmentAttentionForward({c.tokens, c.heads, c.head_dim, c.causal, work.device(),
                                       qkv.data(), out.data(), lse.data()},
                                      nullptr)
                  .ok());
  return {ToFloats(out.Read()), lse.Read()};
}

TEST_F(SegmentAttentionTest, Forward) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(testing::PrintToString(c.cu_seqlens) + testing::PrintToString(c.head_dim));
    const Inputs inputs(c);
    Floats out(c.tokens * inputs.width), lse(c.tokens * c.heads);
    ref::SegmentAttentionForward({c.tokens, static_cast<int64_t>(c.cu_seqlens.size()) - 1, c.heads,
                                  c.head_dim, c.causal, c.cu_seqlens.data(), inputs.qkv.data(),
                                  out.data(), lse.data()});
    const auto got = RunOnDevice([&] { return Forward(c, inputs); });
    ExpectClose(out, got[0], Largest(inputs.qkv) / 128, 0, "out");
    ExpectClose(lse, got[1], 1e-3f, 0, "lse");
  }
}

TEST_F(SegmentAttentionTest, Backward) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(testing::PrintToString(c.cu_seqlens) + testing::PrintToString(c.head_dim));
    const Inputs inputs(c);
    const auto segments = static_cast<int64_t>(c.cu_seqlens.size()) - 1;
    Floats out(c.tokens * inputs.width), lse(c.tokens * c.heads), dqkv(3 * out.size());
    ref::SegmentAttentionForward({c.tokens, segments, c.heads, c.head_dim, c.causal,
                                  c.cu_seqlens.data(), inputs.qkv.data(), out.data(), lse.data()});
    ref::SegmentAttentionBackward({c.tokens, segments, c.heads, c.head_dim, c.causal,
                                   c.cu_seqlens.data(), inputs.qkv.data(), out.data(), lse.data(),
                                   inputs.dout.data(), dqkv.data()});
    const auto got = RunOnDevice([&]() -> std::vector<Floats> {
      DeviceArray<Bf16> qkv(inputs.qkv.size()), dout(inputs.dout.size());
      qkv.Write(ToBf16(inputs.used_qkv()));
      dout.Write(ToBf16(inputs.used_dout()));
      const DeviceArray<Bf16> device_out(ToBf16(out)), device_dqkv(dqkv.size());
      const DeviceArray<float> device_lse(lse), delta(lse.size());
      const Work work(c.cu_seqlens, c.max_rows);
      EXPECT_TRUE(SegmentAttentionBackward({c.tokens, c.heads, c.head_dim, c.causal, work.device(),
                                            qkv.data(), device_out.data(), device_lse.data(),
                                            dout.data(), device_dqkv.data(), delta.data()},
                                           nullptr)
                      .ok());
      return {ToFloats(device_dqkv.Read())};
    });
    ExpectClose(dqkv, got[0], Largest(dqkv) / 64, 0, "dqkv");
  }
}

// A segment packed with others, at another place, has the bits of the segment alone.
TEST_F(SegmentAttentionTest, PackedEqualsAlone) {
  for (const bool causal : {false, true}) {
    const int64_t head_dim = causal ? 72 : 16;
    const Case packed{{0, 9, 46, 50}, 50, 2, head_dim, causal};
    const Case alone{{0, 37}, 37, 2, head_dim, causal};
    const Inputs inputs(packed);
    Inputs part(alone);
    std::copy_n(inputs.qkv.begin() + 9 * 3 * part.width, part.qkv.size(), part.qkv.begin());
    const auto in_pack = RunOnDevice([&] { return Forward(packed, inputs); });
    const auto by_itself = RunOnDevice([&] { return Forward(alone, part); });
    EXPECT_TRUE(
        std::equal(by_itself[0].begin(), by_itself[0].end(), in_pack[0].begin() + 9 * part.width));
    EXPECT_TRUE(std::equal(by_itself[1].begin(), by_itself[1].end(), in_pack[1].begin() + 9 * 2));
  }
}

}  // namespace
}  // namespace navit::kernels::cuda
