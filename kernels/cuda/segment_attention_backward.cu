// With P = exp(z − lse), z = scale·q·k, dP = dout·v and δ = Σ out·dout:
//   dv = Pᵀ·dout, dS = P·(dP − δ), dq = scale·dS·k, dk = scale·dSᵀ·q.
// A block computes dk and dv of its keys, then dq of its queries, and so P twice: seven products
// where five would do, no sum that crosses blocks, no atomics, segments of any length.
#include <cmath>

#include "kernels/cuda/attention_tiles.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/segment_attention.h"

namespace navit::kernels::cuda {
namespace {

// δ of each row: kLanes lanes have a head of a token.
template <int kDim>
struct DeltaKernel {
  struct Args {
    int64_t rows;  // tokens·heads
    const Bf16* out;
    const Bf16* dout;
    float* delta;
  };
  static constexpr int kThreads = 256;
  static constexpr int kLanes = kHeadLanes<kDim>;
  static constexpr int kRows = kThreads / kLanes;

  NAVIT_DEVICE static void Run(const Args& args) {
    const int64_t row = BlockIndex() * kRows + ThreadIndex() / kLanes;
    const int piece = ThreadIndex() % kLanes;
    float sum = 0;
    if (row < args.rows && piece < kDim / 8) {
      float out[8], dout[8];
      Unpack(Global<const Bf16>(args.out).LoadAs<Vector16>(row * kDim + piece * 8), out);
      Unpack(Global<const Bf16>(args.dout).LoadAs<Vector16>(row * kDim + piece * 8), dout);
      NAVIT_UNROLL
      for (int i = 0; i < 8; ++i) sum = Fma(out[i], dout[i], sum);
    }
    sum = LaneSum<kLanes>(sum);
    if (row < args.rows && piece == 0) Global<float>(args.delta).Store(row, sum);
  }
};

struct alignas(8) Pair {
  float of[2];
};

template <int kDim>
struct BackwardKernel {
  struct Args {
    const AttentionBlock* block;
    const AttentionSegment* segment;
    const AttentionTile* tile;
    int32_t chunk_rows;
    int32_t heads;
    bool causal;
    float scale;  // 1/√d
    const Bf16* qkv;
    const Bf16* dout;
    const float* lse;
    const float* delta;
    Bf16* dqkv;
  };
  static constexpr int kThreads = kAttentionThreads;
  static constexpr int kMinBlocks = kDim <= 64 ? 3 : 2;  // by the registers of a thread

  // The block's place in the work and in shared memory.
  struct Block {
    Global<const AttentionSegment> segments;
    Global<const AttentionTile> tiles;
    AttentionBlock work;
    int head;
    int rows;       // of all of its segments
    int64_t width;  // of a token in out and dout; a third of one in qkv
    HeadRows<kDim> first, second;
    Shared<float> lse, delta;  // of the chunk's rows
  };

  // Starts to copy a chunk of `first` and `second`, when all threads have done with the last one.
  NAVIT_DEVICE static void CopyChunk(const Args& args, const Block& block, int chunk,
                                     Global<const Bf16> first, int64_t first_stride,
                                     Global<const Bf16> second, int64_t second_stride) {
    BlockBarrier();
    CopySegments<kDim>(block.first, first, first_stride, block.segments, block.work.segments, chunk,
                       args.chunk_rows);
    CopySegments<kDim>(block.second, second, second_stride, block.segments, block.work.segments,
                       chunk, args.chunk_rows);
    CopyAsyncCommit();
  }

  // lse and δ of the chunk's queries. An infinite lse behind a segment's last token makes P zero.
  NAVIT_DEVICE static void LoadStatistics(const Args& args, const Block& block, int chunk) {
    const Global<const float> lse(args.lse), delta(args.delta);
    for (int s = 0; s < block.work.segments; ++s) {
      const AttentionSegment segment = block.segments.Load(s);
      const int padded = (segment.length + 15) / 16 * 16;
      for (int row = ThreadIndex(); row < padded; row += kThreads) {
        const int to = segment.row + row - chunk;
        if (to < 0 || to >= args.chunk_rows) continue;
        const int64_t from = (static_cast<int64_t>(segment.begin) + row) * args.heads + block.head;
        const bool valid = row < segment.length;
        block.lse.Store(to, valid ? lse.Load(from) * kLog2E : INFINITY);
        block.delta.Store(to, valid ? delta.Load(from) : 0);
      }
    }
  }

  // Rows [begin, end) of the chunk that belong to the tile's segment, of its rows [from, to).
  NAVIT_DEVICE static void RowsOf(const Args& args, const AttentionTile& tile, int chunk, int from,
                                  int to, int& begin, int& end) {
    begin = tile.row + from > chunk ? tile.row + from - chunk : 0;
    end = tile.row + to - chunk < args.chunk_rows ? tile.row + to - chunk : args.chunk_rows;
  }

  // p += a·first and ds += b·second, of rows [row, row + 16): four sums that do not wait for each
  // other.
  NAVIT_DEVICE static void TwoProducts(float (&p)[2][4], float (&ds)[2][4], const Fragment<kDim>& a,
                                       const Fragment<kDim>& b, const Block& block, int row) {
    NAVIT_UNROLL
    for (int k = 0; k < Fragment<kDim>::kSteps; ++k) {
      uint32_t first[4], second[4];
      block.first.LoadAsColumns(first, row, k);
      block.second.LoadAsColumns(second, row, k);
      Mma16x8x16(p[0], a.a[k], first[0], first[1]);
      Mma16x8x16(p[1], a.a[k], first[2], first[3]);
      Mma16x8x16(ds[0], b.a[k], second[0], second[1]);
      Mma16x8x16(ds[1], b.a[k], second[2], second[3]);
    }
  }

  // dk and dv: a warp has 16 keys, the block walks over the queries and their dout.
  NAVIT_DEVICE static void KeysAndValues(const Args& args, const Block& block) {
    const Global<const Bf16> q = Global<const Bf16>(args.qkv) + block.head * kDim;
    const Global<const Bf16> dout = Global<const Bf16>(args.dout) + block.head * kDim;
    const float scale = args.scale * kLog2E;
    const Shared<float> lses = block.lse, deltas = block.delta;
    Accumulator<kDim> dk, dv;
    for (int chunk = 0; chunk < block.rows; chunk += args.chunk_rows) {
      CopyChunk(args, block, chunk, q, 3 * block.width, dout, block.width);
      LoadStatistics(args, block, chunk);
      AttentionTile tile;
      Fragment<kDim> k, v;
      const auto load = [&](int t) {
        if (t >= block.work.tiles) return;
        tile = block.tiles.Load(t);
        const int64_t token = tile.begin + tile.first;
        k.Load(q + (token * 3 + 1) * block.width, 3 * block.width, tile.length - tile.first);
        v.Load(q + (token * 3 + 2) * block.width, 3 * block.width, tile.length - tile.first);
      };
      load(WarpIndex());  // while the copies are under way
      CopyAsyncWait<0>();
      BlockBarrier();
      for (int t = WarpIndex(); t < block.work.tiles; t += kAttentionWarps) {
        const int valid = tile.length - tile.first;
        const int64_t token = tile.begin + tile.first;
        if (chunk == 0) {
          dk.Clear();
          dv.Clear();
        }
        int begin, end;
        RowsOf(args, tile, chunk, args.causal ? tile.first : 0, (tile.length + 15) / 16 * 16, begin,
               end);
        for (int row = begin; row < end; row += 16) {
          // Rows are keys, columns are queries.
          float p[2][4] = {}, ds[2][4] = {};
          TwoProducts(p, ds, k, v, block, row);
          const int ahead = tile.first - (chunk + row - tile.row);  // of the first query
          const bool edge = args.causal && ahead > -16;
          NAVIT_UNROLL
          for (int n = 0; n < 2; ++n) {
            const int column = ElementColumn(n, 0);
            const Pair lse = lses.LoadAs<Pair>(row + column);
            const Pair delta = deltas.LoadAs<Pair>(row + column);
            NAVIT_UNROLL
            for (int i = 0; i < 4; ++i) {
              float value = Exp2(Fma(p[n][i], scale, -lse.of[i % 2]));
              if (edge && column + i % 2 < ahead + ElementRow(i)) value = 0;
              p[n][i] = value;
              ds[n][i] = value * (ds[n][i] - delta.of[i % 2]);
            }
          }
          uint32_t a[4];
          ToOperand(a, p);
          dv.Add(a, block.second, row);
          ToOperand(a, ds);
          dk.Add(a, block.first, row);
        }
        if (chunk + args.chunk_rows >= block.rows) {
          const Global<Bf16> to =
              Global<Bf16>(args.dqkv) + ((token * 3 + 1) * block.width + block.head * kDim);
          dk.Store(to, 3 * block.width, valid, args.scale, args.scale);
          dv.Store(to + block.width, 3 * block.width, valid, 1, 1);
        }
        load(t + kAttentionWarps);
      }
    }
  }

  // dq: a warp has 16 queries, the block walks over the keys and values.
  NAVIT_DEVICE static void Queries(const Args& args, const Block& block) {
    const Global<const Bf16> q_from = Global<const Bf16>(args.qkv) + block.head * kDim;
    const Global<const Bf16> dout_from = Global<const Bf16>(args.dout) + block.head * kDim;
    const float scale = args.scale * kLog2E;
    Accumulator<kDim> dq;
    for (int chunk = 0; chunk < block.rows; chunk += args.chunk_rows) {
      CopyChunk(args, block, chunk, q_from + block.width, 3 * block.width, q_from + 2 * block.width,
                3 * block.width);
      AttentionTile tile;
      Fragment<kDim> q, dout;
      float lse[2], delta[2];
      const auto load = [&](int t) {
        if (t >= block.work.tiles) return;
        tile = block.tiles.Load(t);
        const int valid = tile.length - tile.first;
        const int64_t token = tile.begin + tile.first;
        q.Load(q_from + token * 3 * block.width, 3 * block.width, valid);
        dout.Load(dout_from + token * block.width, block.width, valid);
        NAVIT_UNROLL
        for (int r = 0; r < 2; ++r) {
          const int row = LaneIndex() / 4 + 8 * r;
          const int64_t at = (token + row) * args.heads + block.head;
          lse[r] = row < valid ? Global<const float>(args.lse).Load(at) * kLog2E : INFINITY;
          delta[r] = row < valid ? Global<const float>(args.delta).Load(at) : 0;
        }
      };
      load(WarpIndex());  // while the copies are under way
      CopyAsyncWait<0>();
      BlockBarrier();
      for (int t = WarpIndex(); t < block.work.tiles; t += kAttentionWarps) {
        const int valid = tile.length - tile.first;
        const int64_t token = tile.begin + tile.first;
        if (chunk == 0) dq.Clear();
        int begin, end;
        RowsOf(args, tile, chunk, 0, args.causal ? tile.first + 16 : (tile.length + 15) / 16 * 16,
               begin, end);
        for (int row = begin; row < end; row += 16) {
          float p[2][4] = {}, ds[2][4] = {};
          TwoProducts(p, ds, q, dout, block, row);
          const int key = chunk + row - tile.row;
          const bool edge = key + 16 > tile.length || (args.causal && key + 15 > tile.first);
          NAVIT_UNROLL
          for (int n = 0; n < 2; ++n) {
            NAVIT_UNROLL
            for (int i = 0; i < 4; ++i) {
              const int column = key + ElementColumn(n, i);
              float value = Exp2(Fma(p[n][i], scale, -lse[i / 2]));
              if (edge &&
                  (column >= tile.length || (args.causal && column > tile.first + ElementRow(i)))) {
                value = 0;
              }
              ds[n][i] = value * (ds[n][i] - delta[i / 2]);
            }
          }
          uint32_t a[4];
          ToOperand(a, ds);
          dq.Add(a, block.first, row);
        }
        if (chunk + args.chunk_rows >= block.rows) {
          dq.Store(Global<Bf16>(args.dqkv) + (token * 3 * block.width + block.head * kDim),
                   3 * block.width, valid, args.scale, args.scale);
        }
        load(t + kAttentionWarps);
      }
    }
  }

  NAVIT_DEVICE static void Run(const Args& args) {
    Block block;
    block.head = static_cast<int>(BlockIndex() % args.heads);
    block.work = Global<const AttentionBlock>(args.block).Load(BlockIndex() / args.heads);
    block.segments = Global<const AttentionSegment>(args.segment) + block.work.first_segment;
    block.tiles = Global<const AttentionTile>(args.tile) + block.work.first_tile;
    block.rows = BlockRows(block.segments, block.work.segments);
    block.width = static_cast<int64_t>(args.heads) * kDim;
    const int rows = args.chunk_rows;
    const int values = rows * kPaddedHeadDim<kDim>;
    const int64_t bytes = static_cast<int64_t>(sizeof(Bf16)) * values;
    block.first.data = SharedMemory<Bf16>(0, values);
    block.second.data = SharedMemory<Bf16>(bytes, values);
    block.lse = SharedMemory<float>(2 * bytes, rows);
    block.delta = SharedMemory<float>(2 * bytes + 4 * rows, rows);
    KeysAndValues(args, block);
    Queries(args, block);
  }
};

template <int kDim>
LaunchError Backward(const SegmentAttentionBackwardArgs& args, Stream stream) {
  using Delta = DeltaKernel<kDim>;
  using Kernel = BackwardKernel<kDim>;
  const int64_t rows = args.work.used_tokens * args.heads;
  const LaunchError error =
      Launch<Delta>({(rows + Delta::kRows - 1) / Delta::kRows, Delta::kThreads, 0}, stream,
                    {rows, args.out, args.dout, args.delta});
  if (!error.ok()) return error;
  return Launch<Kernel>(
      {args.work.blocks * args.heads, Kernel::kThreads,
       AttentionRowBytes(kDim) * args.work.chunk_rows},
      stream,
      {args.work.block, args.work.segment, args.work.tile, args.work.chunk_rows,
       static_cast<int32_t>(args.heads), args.causal, 1 / std::sqrt(static_cast<float>(kDim)),
       args.qkv, args.dout, args.lse, args.delta, args.dqkv});
}

}  // namespace

LaunchError SegmentAttentionBackward(const SegmentAttentionBackwardArgs& args, Stream stream) {
  const int64_t used = args.work.used_tokens, width = 3 * args.heads * args.head_dim;
  const LaunchError error = FillZeroRows(args.dqkv, used, args.tokens, width, stream);
  if (!error.ok()) return error;
  return ForHeadDim(args.head_dim, [&](auto dim) { return Backward<dim()>(args, stream); });
}

}  // namespace navit::kernels::cuda
