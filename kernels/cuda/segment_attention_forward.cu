#include <cmath>

#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/segment_attention.h"

namespace navit::kernels::cuda {
namespace {

// Groups of 16 keys whose scores a warp holds at a time. More would let fewer blocks share a
// multiprocessor, whose warps hide each other's waits.
constexpr int kGroups = 4;
constexpr float kMinusInfinity = -INFINITY;

template <int kDim>
struct ForwardKernel {
  struct Args {
    const AttentionBlock* block;
    const AttentionSegment* segment;
    const AttentionTile* tile;
    int32_t chunk_rows;
    int32_t heads;
    bool causal;
    float scale;  // 1/√d
    const Bf16* qkv;
    Bf16* out;
    float* lse;
  };
  static constexpr int kThreads = kAttentionThreads;
  // As many as leave each thread the registers it takes.
  static constexpr int kMinBlocks = kDim <= 32 ? 4 : kDim <= 64 ? 3 : 2;

  // The softmax of one tile's rows so far, of two rows per lane: lane / 4 and lane / 4 + 8.
  struct State {
    float max[2];  // of the scores before scaling
    float sum[2];  // of exp, over this lane's columns
    Accumulator<kDim> out;
  };

  // Adds keys [row, row + 16·kCount), whose first is the segment's key number `key`. Without kEdge
  // every row of the tile sees all of them. Products of different keys do not wait for each other:
  // the loops are ordered so that these lie side by side.
  template <int kCount, bool kEdge>
  NAVIT_DEVICE static void AddKeys(const Args& args, State& state, const Fragment<kDim>& q,
                                   const HeadRows<kDim>& keys, const HeadRows<kDim>& values,
                                   const AttentionTile& tile, int row, int key) {
    const float scale = args.scale * kLog2E;
    float s[kCount][2][4] = {};
    NAVIT_UNROLL
    for (int k = 0; k < Fragment<kDim>::kSteps; ++k) {
      NAVIT_UNROLL
      for (int g = 0; g < kCount; ++g) {
        uint32_t b[4];
        keys.LoadAsColumns(b, row + 16 * g, k);
        Mma16x8x16(s[g][0], q.a[k], b[0], b[1]);
        Mma16x8x16(s[g][1], q.a[k], b[2], b[3]);
      }
    }
    float max[2] = {state.max[0], state.max[1]};
    int limit[2];  // columns that the rows see, from this lane's first one on
    NAVIT_UNROLL
    for (int r = 0; r < 2; ++r) {
      const int seen = tile.first + ElementRow(2 * r) + 1;
      limit[r] =
          (args.causal && seen < tile.length ? seen : tile.length) - key - ElementColumn(0, 0);
    }
    NAVIT_UNROLL
    for (int g = 0; g < kCount; ++g) {
      NAVIT_UNROLL
      for (int n = 0; n < 2; ++n) {
        NAVIT_UNROLL
        for (int i = 0; i < 4; ++i) {
          if (kEdge && 16 * g + 8 * n + i % 2 >= limit[i / 2]) s[g][n][i] = kMinusInfinity;
          max[i / 2] = Max(max[i / 2], s[g][n][i]);
        }
      }
    }
    float offset[2];
    NAVIT_UNROLL
    for (int r = 0; r < 2; ++r) {
      max[r] = LaneMax<4>(max[r]);
      const float factor = Exp2((state.max[r] - max[r]) * scale);
      state.max[r] = max[r];
      offset[r] = -max[r] * scale;
      state.sum[r] *= factor;
      NAVIT_UNROLL
      for (int n = 0; n < kDim / 8; ++n) {
        state.out.c[n][2 * r] *= factor;
        state.out.c[n][2 * r + 1] *= factor;
      }
    }
    NAVIT_UNROLL
    for (int g = 0; g < kCount; ++g) {
      NAVIT_UNROLL
      for (int n = 0; n < 2; ++n) {
        NAVIT_UNROLL
        for (int i = 0; i < 4; ++i) {
          s[g][n][i] = Exp2(Fma(s[g][n][i], scale, offset[i / 2]));
          state.sum[i / 2] += s[g][n][i];
        }
      }
      uint32_t p[4];
      ToOperand(p, s[g]);
      state.out.Add(p, values, row + 16 * g);
    }
  }

  NAVIT_DEVICE static void Finish(const Args& args, const State& state, const AttentionTile& tile,
                                  int head) {
    const int valid = tile.length - tile.first;
    const int64_t token = tile.begin + tile.first;
    float sum[2], inverse[2];
    NAVIT_UNROLL
    for (int r = 0; r < 2; ++r) {
      sum[r] = LaneSum<4>(state.sum[r]);
      inverse[r] = Reciprocal(sum[r]);
      const int row = LaneIndex() / 4 + 8 * r;
      if (LaneIndex() % 4 == 0 && row < valid) {
        Global<float>(args.lse).Store((token + row) * args.heads + head,
                                      Fma(state.max[r], args.scale, Log2(sum[r]) * kLn2));
      }
    }
    const int64_t width = static_cast<int64_t>(args.heads) * kDim;
    state.out.Store(Global<Bf16>(args.out) + (token * width + head * kDim), width, valid,
                    inverse[0], inverse[1]);
  }

  NAVIT_DEVICE static void Run(const Args& args) {
    const int head = static_cast<int>(BlockIndex() % args.heads);
    const AttentionBlock block =
        Global<const AttentionBlock>(args.block).Load(BlockIndex() / args.heads);
    const Global<const AttentionSegment> segments =
        Global<const AttentionSegment>(args.segment) + block.first_segment;
    const Global<const AttentionTile> tiles =
        Global<const AttentionTile>(args.tile) + block.first_tile;
    const int chunk_rows = args.chunk_rows;
    const int values_of_chunk = chunk_rows * kPaddedHeadDim<kDim>;
    const HeadRows<kDim> keys{SharedMemory<Bf16>(0, values_of_chunk)};
    const HeadRows<kDim> values{
        SharedMemory<Bf16>(values_of_chunk * sizeof(Bf16), values_of_chunk)};
    const int64_t width = static_cast<int64_t>(args.heads) * kDim;
    const Global<const Bf16> q_from = Global<const Bf16>(args.qkv) + head * kDim;
    const int rows = BlockRows(segments, block.segments);
    State state;
    for (int chunk = 0; chunk < rows; chunk += chunk_rows) {
      if (chunk > 0) BlockBarrier();  // all have done with the rows of the last chunk
      CopySegments<kDim>(keys, q_from + width, 3 * width, segments, block.segments, chunk,
                         chunk_rows);
      CopySegments<kDim>(values, q_from + 2 * width, 3 * width, segments, block.segments, chunk,
                         chunk_rows);
      CopyAsyncCommit();
      AttentionTile tile;
      Fragment<kDim> q;
      const auto load = [&](int t) {
        if (t >= block.tiles) return;
        tile = tiles.Load(t);
        q.Load(q_from + (tile.begin + tile.first) * 3 * width, 3 * width, tile.length - tile.first);
      };
      load(WarpIndex());  // while the copies are under way
      CopyAsyncWait<0>();
      BlockBarrier();
      // One tile at most where there are several chunks, so that `state` is that of the last chunk.
      for (int t = WarpIndex(); t < block.tiles; t += kAttentionWarps) {
        if (chunk == 0) {
          NAVIT_UNROLL
          for (int r = 0; r < 2; ++r) {
            state.max[r] = kMinusInfinity;
            state.sum[r] = 0;
          }
          state.out.Clear();
        }
        // Keys of the segment that the tile sees, as rows of the chunk.
        const int seen = args.causal ? tile.first + 16 : (tile.length + 15) / 16 * 16;
        const int begin = tile.row > chunk ? tile.row - chunk : 0;
        const int limit = tile.row + seen - chunk;
        const int end = limit < chunk_rows ? limit : chunk_rows;
        const int whole = args.causal ? tile.first + 1 : tile.length;  // keys that all rows see
        int row = begin;
        for (; row + 16 * kGroups <= end; row += 16 * kGroups) {
          const int key = chunk + row - tile.row;
          if (key + 16 * kGroups <= whole) {
            AddKeys<kGroups, false>(args, state, q, keys, values, tile, row, key);
          } else {
            AddKeys<kGroups, true>(args, state, q, keys, values, tile, row, key);
          }
        }
        const int key = chunk + row - tile.row;
        switch ((end - row) / 16) {
          case 3:
            AddKeys<3, true>(args, state, q, keys, values, tile, row, key);
            break;
          case 2:
            AddKeys<2, true>(args, state, q, keys, values, tile, row, key);
            break;
          case 1:
            AddKeys<1, true>(args, state, q, keys, values, tile, row, key);
            break;
        }
        if (chunk + chunk_rows >= rows) Finish(args, state, tile, head);
        load(t + kAttentionWarps);
      }
    }
  }
};

template <int kDim>
LaunchError Forward(const SegmentAttentionForwardArgs& args, Stream stream) {
  using Kernel = ForwardKernel<kDim>;
  return Launch<Kernel>(
      {args.work.blocks * args.heads, Kernel::kThreads,
       static_cast<int64_t>(2 * sizeof(Bf16)) * args.work.chunk_rows * kPaddedHeadDim<kDim>},
      stream,
      {args.work.block, args.work.segment, args.work.tile, args.work.chunk_rows,
       static_cast<int32_t>(args.heads), args.causal, 1 / std::sqrt(static_cast<float>(kDim)),
       args.qkv, args.out, args.lse});
}

}  // namespace

LaunchError SegmentAttentionForward(const SegmentAttentionForwardArgs& args, Stream stream) {
  const int64_t used = args.work.used_tokens;
  LaunchError error = FillZeroRows(args.out, used, args.tokens, args.heads * args.head_dim, stream);
  if (error.ok()) error = FillZeroRows(args.lse, used, args.tokens, args.heads, stream);
  if (!error.ok()) return error;
  return ForHeadDim(args.head_dim, [&](auto dim) { return Forward<dim()>(args, stream); });
}

}  // namespace navit::kernels::cuda
