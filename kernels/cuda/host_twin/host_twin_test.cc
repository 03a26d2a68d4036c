// The twin finds what it is for: each kernel here has one fault, and a correct sibling.
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cuda/device.h"

namespace navit::kernels::cuda {
namespace {

using testing::Contains;
using testing::HasSubstr;

class HostTwinTest : public testing::Test {
 protected:
  void SetUp() override {
    twin::GetOptions() = {};
    twin::TakeFindings();
  }

  // The findings of `kernel` as threads of blocks; the same for every order of the threads.
  template <typename Body>
  twin::Findings Run(const LaunchShape& shape, const Body& body) {
    twin::Findings findings;
    for (uint64_t seed = 0; seed < 5; ++seed) {
      twin::GetOptions().seed = seed;
      twin::RunGrid(shape, body);
      findings = twin::TakeFindings();
      if (seed == 0) first_count_ = findings.count;
      EXPECT_EQ(first_count_ > 0, findings.count > 0) << "seed " << seed;
    }
    return findings;
  }

  int64_t first_count_ = 0;
};

std::unique_ptr<twin::Region> Written(size_t bytes) {
  auto region = std::make_unique<twin::Region>("buffer", bytes);
  std::memset(region->data(), 0, bytes);
  region->SetWritten(0, bytes);
  return region;
}

Global<float> Floats(const twin::Region& region) {
  return Global<float>(reinterpret_cast<float*>(region.data()));
}

// Each thread reads what its neighbour in another warp wrote.
void Rotate(Global<float> out, bool barrier) {
  const Shared<float> shared = SharedMemory<float>(0, 64);
  const int thread = ThreadIndex();
  shared.Store(thread, static_cast<float>(thread));
  if (barrier) BlockBarrier();
  out.Store(BlockIndex() * 64 + thread, shared.Load((thread + 32) % 64));
}

TEST_F(HostTwinTest, ABarrierOrdersWritesAndReads) {
  twin::Region out("out", 3 * 64 * 4);
  const auto findings = Run({3, 64, 256}, [&] { Rotate(Floats(out), true); });
  EXPECT_EQ(0, findings.count) << findings.texts[0];
  for (int i = 0; i < 3 * 64; ++i) {
    EXPECT_EQ((i % 64 + 32) % 64, reinterpret_cast<float*>(out.data())[i]);
  }
}

TEST_F(HostTwinTest, AMissingBarrierIsARaceInEveryOrder) {
  twin::Region out("out", 64 * 4);
  const auto findings = Run({1, 64, 256}, [&] { Rotate(Floats(out), false); });
  EXPECT_THAT(findings.texts, Contains(HasSubstr("race")));
}

TEST_F(HostTwinTest, ABarrierCanBeSkippedByName) {
  twin::Region out("out", 64 * 4);
  twin::TakeSyncSites();
  EXPECT_EQ(0, Run({1, 64, 256}, [&] { Rotate(Floats(out), true); }).count);
  const auto sites = twin::TakeSyncSites();
  ASSERT_EQ(1u, sites.size());
  twin::GetOptions().skip = *sites.begin();
  EXPECT_LT(0, Run({1, 64, 256}, [&] { Rotate(Floats(out), true); }).count);
}

TEST_F(HostTwinTest, AWarpBarrierOrdersTheLanesOfOneWarpOnly) {
  const auto exchange = [](int distance) {
    const Shared<float> shared = SharedMemory<float>(0, 64);
    shared.Store(ThreadIndex(), 1);
    WarpBarrier();
    shared.Load(ThreadIndex() ^ distance);
  };
  EXPECT_EQ(0, Run({1, 64, 256}, [&] { exchange(3); }).count);
  EXPECT_LT(0, Run({1, 64, 256}, [&] { exchange(32); }).count);
}

TEST_F(HostTwinTest, AWriteAfterAReadNeedsABarrier) {
  for (const bool barrier : {false, true}) {
    const auto buffer = Written(4);
    const auto findings = Run({1, 96, 0}, [&] {
      if (ThreadIndex() < 40) Floats(*buffer).Load(0);
      if (barrier) BlockBarrier();
      if (ThreadIndex() == 40) Floats(*buffer).Store(0, 1);
    });
    EXPECT_EQ(barrier ? 0 : 5, std::min<int64_t>(findings.count * 5, 5));
  }
}

TEST_F(HostTwinTest, BlocksOfOneLaunchAreNotOrderedAndLaunchesAre) {
  const auto buffer = Written(4);
  const auto write = [&] {
    if (ThreadIndex() == 0) Floats(*buffer).Store(0, 1);
  };
  EXPECT_EQ(0, Run({1, 32, 0}, write).count);
  EXPECT_LT(0, Run({2, 32, 0}, write).count);
  const auto read_then_write = [&] {
    if (ThreadIndex() != 0) return;
    if (BlockIndex() < 2) Floats(*buffer).Load(0);
    if (BlockIndex() == 2) Floats(*buffer).Store(0, 1);
  };
  EXPECT_LT(0, Run({3, 32, 0}, read_then_write).count);
}

TEST_F(HostTwinTest, AccessOutsideIsReportedAndNotDone) {
  const auto buffer = Written(8);
  EXPECT_THAT(Run({1, 32, 0}, [&] { Floats(*buffer).Load(ThreadIndex() == 5 ? 2 : 0); }).texts,
              Contains(HasSubstr("outside of buffer")));
  EXPECT_LT(0, Run({1, 32, 0}, [&] {
                 if (ThreadIndex() == 0) Floats(*buffer).Store(-1, 0);
               }).count);
  EXPECT_LT(0, Run({1, 32, 0}, [&] { Global<float>(nullptr).Load(0); }).count);
  // Another part of shared memory is outside as well.
  EXPECT_LT(0, Run({1, 32, 256}, [&] {
                 SharedMemory<float>(128, 32).Store(ThreadIndex(), 0);
                 SharedMemory<float>(0, 32).Load(32 + ThreadIndex());
               }).count);
  buffer->CheckGuards();
  EXPECT_EQ(0, twin::TakeFindings().count);
}

TEST_F(HostTwinTest, MisalignedVectorsAreReported) {
  const auto buffer = Written(64);
  EXPECT_EQ(0, Run({1, 32, 0}, [&] { Floats(*buffer).LoadAs<Vector16>(4); }).count);
  EXPECT_THAT(Run({1, 32, 0}, [&] { Floats(*buffer).LoadAs<Vector16>(2); }).texts,
              Contains(HasSubstr("misaligned")));
}

TEST_F(HostTwinTest, ReadsOfWhatNobodyWroteAreReported) {
  twin::Region buffer("buffer", 128);
  EXPECT_LT(0, Run({1, 32, 0}, [&] { Floats(buffer).Load(ThreadIndex()); }).count);
  EXPECT_LT(0, Run({1, 32, 128}, [&] { SharedMemory<float>(0, 32).Load(0); }).count);
}

// What is behind a copy may be read after its wait by the thread, after a barrier by all.
void CopyAndSum(const twin::Region& from, bool wait, bool barrier) {
  const Shared<float> shared = SharedMemory<float>(0, 128);
  const Global<const float> source(reinterpret_cast<const float*>(from.data()));
  CopyAsync16(shared + 4 * ThreadIndex(), source + 4 * ThreadIndex(), ThreadIndex() % 2 == 0);
  CopyAsyncCommit();
  if (wait) CopyAsyncWait<0>();
  if (barrier) BlockBarrier();
  const float want = ThreadIndex() % 2 == 0 ? 1 : 0;
  if (shared.Load(4 * (ThreadIndex() ^ 4)) != want) twin::Report(twin::Site::current(), "value");
}

TEST_F(HostTwinTest, AsynchronousCopies) {
  twin::Region from("from", 512);
  for (int i = 0; i < 128; ++i) reinterpret_cast<float*>(from.data())[i] = 1;
  from.SetWritten(0, 512);
  EXPECT_EQ(0, Run({1, 32, 512}, [&] { CopyAndSum(from, true, true); }).count);
  EXPECT_THAT(Run({1, 32, 512}, [&] { CopyAndSum(from, false, true); }).texts,
              Contains(HasSubstr("yet to fill")));
  EXPECT_THAT(Run({1, 32, 512}, [&] { CopyAndSum(from, true, false); }).texts,
              Contains(HasSubstr("race")));
}

TEST_F(HostTwinTest, WaitForAllButTheLastCopies) {
  const auto from = Written(1024);
  const Global<const float> source(reinterpret_cast<const float*>(from->data()));
  const auto read = [&](int which) {
    const Shared<float> shared = SharedMemory<float>(0, 256);
    for (int i = 0; i < 2; ++i) {
      CopyAsync16(shared + 128 * i + 4 * ThreadIndex(), source + 128 * i + 4 * ThreadIndex(), true);
      CopyAsyncCommit();
    }
    CopyAsyncWait<1>();
    shared.Load(128 * which + 4 * ThreadIndex());
    CopyAsyncWait<0>();
  };
  EXPECT_EQ(0, Run({1, 32, 1024}, [&] { read(0); }).count);
  EXPECT_LT(0, Run({1, 32, 1024}, [&] { read(1); }).count);
}

TEST_F(HostTwinTest, ThreadsThatWaitForEverAreReported) {
  EXPECT_THAT(Run({1, 64, 0},
                  [] {
                    if (ThreadIndex() != 3) BlockBarrier();
                  })
                  .texts,
              Contains(HasSubstr("for ever")));
  EXPECT_LT(0, Run({1, 32, 0}, [] {
                 if (ThreadIndex() != 3) ShuffleXor(1.0f, 1);
               }).count);
}

// Outside of a macro, whose text is one line of source.
void DivergeInWarp() {
  if (ThreadIndex() < 16) {
    WarpBarrier();
  } else {
    WarpBarrier();
  }
}
void DivergeInBlock() {
  if (ThreadIndex() < 32) {
    BlockBarrier();
  } else {
    BlockBarrier();
  }
}

TEST_F(HostTwinTest, DivergingOperationsAreReported) {
  EXPECT_THAT(Run({1, 32, 0}, DivergeInWarp).texts, Contains(HasSubstr("different operations")));
  EXPECT_THAT(Run({1, 64, 0}, DivergeInBlock).texts, Contains(HasSubstr("different barriers")));
}

TEST_F(HostTwinTest, Shuffles) {
  EXPECT_EQ(0, Run({1, 64, 0}, [] {
                 const auto lane = static_cast<uint32_t>(LaneIndex());
                 if (ShuffleXor(lane, 5) != (lane ^ 5) || ShuffleFrom(lane, 7) != 7 ||
                     LaneSum<8>(1) != 8 || LaneMax(static_cast<float>(lane)) != 31) {
                   twin::Report(twin::Site::current(), "value");
                 }
               }).count);
}

// A product of matrices by ldmatrix and mma, as a kernel would do it, against plain loops: C[16, 8]
// = A[16, 16]·B[16, 8], A row-major, B once as [8, 16] and once as [16, 8] transposed on the way.
TEST_F(HostTwinTest, MatrixInstructionsMultiply) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  float a[16][16], b[16][8];
  for (auto& row : a) {
    for (float& x : row) x = Bf16ToFloat(FloatToBf16(normal(random)));
  }
  for (auto& row : b) {
    for (float& x : row) x = Bf16ToFloat(FloatToBf16(normal(random)));
  }
  for (const bool transposed : {false, true}) {
    twin::Region out("out", 16 * 8 * 4);
    const auto findings = Run({1, 32, 2048}, [&] {
      const int lane = LaneIndex();
      const Shared<Bf16> sa = SharedMemory<Bf16>(0, 256), sb = SharedMemory<Bf16>(512, 256);
      for (int i = lane; i < 256; i += 32) {
        sa.Store(i, ToBf16(a[i / 16][i % 16]));
        // Matrices 2 and 3 of B are not used; they hold zeros.
        sb.Store(i, ToBf16(0));
      }
      WarpBarrier();
      for (int i = lane; i < 128; i += 32) {
        const int k = i / 8, n = i % 8;
        sb.Store(transposed ? k * 8 + n : n * 16 + k, ToBf16(b[k][n]));
      }
      WarpBarrier();
      uint32_t ra[4], rb[4];
      // Matrices of A: rows 0-7 and 8-15 of columns 0-7, then of columns 8-15.
      LoadMatrix4(ra, sa + (lane % 16) * 16 + lane / 16 * 8);
      if (transposed) {
        LoadMatrix4Transposed(rb, sb + lane * 8);
      } else {
        LoadMatrix4(rb, sb + lane % 8 * 16 + lane / 8 % 2 * 8);
      }
      float c[4] = {};
      Mma16x8x16(c, ra, rb[0], rb[1]);
      for (int i = 0; i < 4; ++i) {
        Floats(out).Store((lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2, c[i]);
      }
    });
    ASSERT_EQ(0, findings.count) << findings.texts[0];
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 8; ++n) {
        double want = 0;
        for (int k = 0; k < 16; ++k) want += static_cast<double>(a[m][k]) * b[k][n];
        EXPECT_NEAR(want, reinterpret_cast<float*>(out.data())[m * 8 + n], 1e-5);
      }
    }
  }
}

TEST_F(HostTwinTest, Bf16RoundsToNearestEven) {
  EXPECT_EQ(1.0f, Bf16ToFloat(FloatToBf16(1.00390625f)));       // a tie, down to even
  EXPECT_EQ(1.015625f, Bf16ToFloat(FloatToBf16(1.01171875f)));  // a tie, up to even
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::nanf("")))));
  EXPECT_EQ(0x3f80c000u, PackBf16(-2.0f, 1.0f) & 0xffffffffu);
}

}  // namespace
}  // namespace navit::kernels::cuda
