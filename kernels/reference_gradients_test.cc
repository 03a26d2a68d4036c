// The references' gradients of the towers' operations against central differences.
#include <vector>

#include "kernels/bias_gelu.h"
#include "kernels/embedding.h"
#include "kernels/kernels_fixture.h"
#include "kernels/l2_normalize.h"
#include "kernels/layer_norm.h"
#include "kernels/layer_scale.h"
#include "kernels/linear.h"
#include "kernels/map_pool_attention.h"
#include "kernels/position_table.h"
#include "kernels/position_waves.h"
#include "kernels/prefix_tokens.h"
#include "kernels/qk_norm.h"
#include "kernels/resampled_table.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/segment_attention.h"
#include "kernels/segment_pool.h"

namespace navit::kernels {
namespace {

double Inner(const Floats& a, const Floats& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

TEST(ReferenceGradients, RowsAndAttention) {
  constexpr int kRows = 6, kDim = 5;
  Floats x = Random(kRows * kDim), gain = Random(kDim), y(x.size()), inv(kRows);
  Floats dx(x.size()), dgain(kDim);
  const Floats w = Random(kRows * kDim);
  const auto rms = [&] {
    ref::RmsNormForward({kRows, kDim, 1e-6f, x.data(), gain.data(), y.data(), inv.data()});
    return Inner(w, y);
  };
  rms();
  ref::RmsNormBackward(
      {kRows, kDim, x.data(), gain.data(), inv.data(), w.data(), dx.data(), dgain.data()});
  CheckGradient(x, dx, rms, "rms_norm x");
  CheckGradient(gain, dgain, rms, "rms_norm gain");
  for (bool erf : {false, true}) {
    const auto gelu = [&] {
      ref::BiasGeluForward({kRows, kDim, x.data(), gain.data(), y.data(), erf});
      return Inner(w, y);
    };
    std::fill(dgain.begin(), dgain.end(), 0.0f);
    ref::BiasGeluBackward(
        {kRows, kDim, x.data(), gain.data(), w.data(), dx.data(), dgain.data(), erf});
    CheckGradient(x, dx, gelu, "gelu x");
    CheckGradient(gain, dgain, gelu, "gelu bias");
  }
  const auto unit = [&] {
    ref::L2NormalizeForward({kRows, kDim, 1e-6f, x.data(), y.data(), inv.data()});
    return Inner(w, y);
  };
  unit();
  ref::L2NormalizeBackward({kRows, kDim, 1e-6f, y.data(), inv.data(), w.data(), dx.data()});
  CheckGradient(x, dx, unit, "l2_normalize");

  Floats bias = Random(kDim), shift(kRows), dbias(kDim);
  const auto layer = [&] {
    ref::LayerNormForward({kRows, kDim, 1e-6f, x.data(), gain.data(), bias.data(), y.data(),
                           inv.data(), shift.data()});
    return Inner(w, y);
  };
  layer();
  std::fill(dgain.begin(), dgain.end(), 0.0f);
  ref::LayerNormBackward({kRows, kDim, x.data(), gain.data(), inv.data(), shift.data(), w.data(),
                          dx.data(), dgain.data(), dbias.data()});
  CheckGradient(x, dx, layer, "layer_norm x");
  CheckGradient(gain, dgain, layer, "layer_norm gain");
  CheckGradient(bias, dbias, layer, "layer_norm bias");
  const auto scale = [&] {
    std::fill(y.begin(), y.end(), 0.0f);
    ref::LayerScaleForward({kRows, kDim, x.data(), gain.data(), y.data()});
    return Inner(w, y);
  };
  std::fill(dgain.begin(), dgain.end(), 0.0f);
  ref::LayerScaleBackward({kRows, kDim, x.data(), gain.data(), w.data(), dx.data(), dgain.data()});
  CheckGradient(x, dx, scale, "layer_scale x");
  CheckGradient(gain, dgain, scale, "layer_scale gain");

  const std::vector<int32_t> cu = {0, 2, 2, 6};
  for (bool causal : {false, true}) {
    Floats qkv = Random(kRows * 3 * kDim), dqkv(qkv.size()), lse(kRows);
    const auto attention = [&] {
      ref::SegmentAttentionForward(
          {kRows, 3, 1, kDim, causal, cu.data(), qkv.data(), y.data(), lse.data()});
      return Inner(w, y);
    };
    attention();
    ref::SegmentAttentionBackward({kRows, 3, 1, kDim, causal, cu.data(), qkv.data(), y.data(),
                                   lse.data(), w.data(), dqkv.data()});
    CheckGradient(qkv, dqkv, attention, "attention");
  }
}

TEST(ReferenceGradients, Linear) {
  constexpr int kRows = 4, kIn = 5, kOut = 3;
  Floats x = Random(kRows * kIn), weight = Random(kOut * kIn), bias = Random(kOut);
  Floats y(kRows * kOut), dx(x.size()), dweight(weight.size()), dbias(kOut);
  const Floats w = Random(kRows * kOut);
  const auto linear = [&] {
    ref::LinearForward({kRows, kIn, kOut, x.data(), weight.data(), bias.data(), y.data()});
    return Inner(w, y);
  };
  ref::LinearBackwardInput({kRows, kIn, kOut, w.data(), weight.data(), dx.data()});
  ref::LinearBackwardWeight({kRows, kIn, kOut, x.data(), w.data(), dweight.data(), dbias.data()});
  CheckGradient(x, dx, linear, "x");
  CheckGradient(weight, dweight, linear, "weight");
  CheckGradient(bias, dbias, linear, "bias");
}

TEST(ReferenceGradients, QkNorm) {
  constexpr int kTokens = 3, kHeads = 2, kDim = 4, kCount = kTokens * 3 * kHeads * kDim;
  Floats qkv = Random(kCount), q = Random(kDim), k = Random(kDim);
  Floats y(kCount), inv(kTokens * 2 * kHeads), dq(kDim), dk(kDim);
  const Floats w = Random(kCount);
  const auto norm = [&] {
    ref::QkNormForward(
        {kTokens, kHeads, kDim, 1e-6f, qkv.data(), q.data(), k.data(), y.data(), inv.data()});
    return Inner(w, y);
  };
  norm();
  // In place.
  Floats d = w;
  ref::QkNormBackward({kTokens, kHeads, kDim, qkv.data(), q.data(), k.data(), inv.data(), d.data(),
                       dq.data(), dk.data()});
  CheckGradient(qkv, d, norm, "qkv");
  CheckGradient(q, dq, norm, "q_gain");
  CheckGradient(k, dk, norm, "k_gain");
}

// Two rows of coordinates a token, off the table's rows, where it has no kink.
const Floats kCoordinates = {0.25f, 1.5f, 2.75f, 0.5f, 1.25f, 2.25f};
constexpr int kTokens = 3;

TEST(ReferenceGradients, PositionTables) {
  constexpr int kRows = 4, kDim = 4;
  for (const PositionCombination combination :
       {PositionCombination::kSum, PositionCombination::kProduct, PositionCombination::kStack,
        PositionCombination::kJoint}) {
    Floats rows = Random(kRows * kRows * kDim), columns = Random(rows.size());
    Floats drows(rows.size()), dcolumns(rows.size());
    const Floats w = Random(kTokens * kDim);
    const auto table = [&] {
      Floats x(kTokens * kDim);
      ref::PositionTableForward({kTokens, kDim, kRows, combination, kCoordinates.data(),
                                 rows.data(), columns.data(), x.data()});
      return Inner(w, x);
    };
    ref::PositionTableBackward({kTokens, kDim, kRows, combination, kCoordinates.data(), rows.data(),
                                columns.data(), w.data(), drows.data(), dcolumns.data()});
    CheckGradient(rows, drows, table, "rows");
    CheckGradient(columns, dcolumns, table, "columns");
  }
  Floats table = Random(kRows * kRows * kDim), dtable(table.size());
  const Floats w = Random(kTokens * kDim), weights = Random(kTokens * 2 * kRows);
  const auto resampled = [&] {
    Floats x(kTokens * kDim);
    ref::ResampledTableForward({kTokens, kDim, kRows, weights.data(), table.data(), x.data()});
    return Inner(w, x);
  };
  ref::ResampledTableBackward({kTokens, kDim, kRows, weights.data(), w.data(), dtable.data()});
  CheckGradient(table, dtable, resampled, "resampled table");
}

TEST(ReferenceGradients, WavesAndRope) {
  constexpr int kDim = 6;
  Floats frequencies = Random(kDim), dfrequencies(kDim);
  const Floats w = Random(kTokens * kDim);
  const auto waves = [&] {
    Floats x(kTokens * kDim);
    ref::PositionWavesForward(
        {kTokens, kDim, 1.5f, kCoordinates.data(), frequencies.data(), x.data()});
    return Inner(w, x);
  };
  ref::PositionWavesBackward({kTokens, kDim, 1.5f, kCoordinates.data(), frequencies.data(),
                              w.data(), dfrequencies.data()});
  CheckGradient(frequencies, dfrequencies, waves, "frequencies");

  constexpr int kHeads = 2, kHeadDim = 4;
  Floats table(kTokens * kHeadDim), qkv = Random(kTokens * 3 * kHeads * kHeadDim);
  RopeTable(kTokens, kHeadDim, kCoordinates.data(), table.data());
  const Floats v = Random(qkv.size());
  const auto rope = [&] {
    Floats turned = qkv;
    ref::Rope({kTokens, kHeads, kHeadDim, table.data(), turned.data(), false});
    return Inner(v, turned);
  };
  // The gradient is turned back.
  Floats dqkv = v;
  ref::Rope({kTokens, kHeads, kHeadDim, table.data(), dqkv.data(), true});
  CheckGradient(qkv, dqkv, rope, "rope");
}

const std::vector<int32_t> kCu = {0, 2, 2, 3, 6};
constexpr int kSegments = 4, kSegmentTokens = 6;

TEST(ReferenceGradients, SegmentPools) {
  constexpr int kHeads = 2, kHeadDim = 3, kDim = kHeads * kHeadDim;
  for (const SegmentPoolKind kind : {SegmentPoolKind::kMean, SegmentPoolKind::kMax,
                                     SegmentPoolKind::kFirst, SegmentPoolKind::kLast}) {
    Floats x(kSegmentTokens * kDim), dx(x.size());
    // Tokens in an order that differs by channel, none near another: the maximum has kinks.
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((7 * i + i / kDim) % 11);
    const Floats w = Random(kSegments * kDim);
    const auto pool = [&] {
      Floats pooled(kSegments * kDim);
      ref::SegmentPoolForward(
          {kSegmentTokens, kSegments, kDim, kind, kCu.data(), x.data(), pooled.data()});
      return Inner(w, pooled);
    };
    ref::SegmentPoolBackward(
        {kSegmentTokens, kSegments, kDim, kind, kCu.data(), x.data(), w.data(), dx.data()});
    CheckGradient(x, dx, pool, "pool");
  }
  Floats query = Random(kDim), kv = Random(kSegmentTokens * 2 * kDim);
  // Of the segments that are not empty.
  Floats pooled(3 * kDim), lse(3 * kHeads), dkv(kv.size()), dquery(kDim);
  const Floats w = Random(pooled.size());
  const auto map = [&] {
    ref::MapPoolAttentionForward({kSegmentTokens, kSegments, kHeads, kHeadDim, kCu.data(),
                                  query.data(), kv.data(), pooled.data(), lse.data()});
    return Inner(w, pooled);
  };
  map();
  ref::MapPoolAttentionBackward({kSegmentTokens, kSegments, kHeads, kHeadDim, kCu.data(),
                                 query.data(), kv.data(), pooled.data(), lse.data(), w.data(),
                                 dkv.data(), dquery.data()});
  CheckGradient(kv, dkv, map, "kv");
  CheckGradient(query, dquery, map, "query");
}

TEST(ReferenceGradients, TablesOfTokens) {
  constexpr int kDim = 3, kVocabulary = 5, kLongest = 3, kPrefix = 2;
  const std::vector<uint16_t> ids = {2, 2, 0, 4, 2, 1};
  Floats tokens = Random(kVocabulary * kDim), places = Random(kLongest * kDim);
  Floats dtokens(tokens.size()), dplaces(places.size());
  Floats w = Random(kSegmentTokens * kDim);
  const auto embedding = [&] {
    Floats y(kSegmentTokens * kDim);
    ref::EmbeddingForward({kSegmentTokens, kSegments, kDim, kVocabulary, kLongest, ids.data(),
                           kCu.data(), tokens.data(), places.data(), y.data()});
    return Inner(w, y);
  };
  ref::EmbeddingBackward({kSegmentTokens, kSegments, kDim, kVocabulary, kLongest, ids.data(),
                          kCu.data(), w.data(), dtokens.data(), dplaces.data()});
  CheckGradient(tokens, dtokens, embedding, "tokens");
  CheckGradient(places, dplaces, embedding, "places");

  Floats x = Random(kSegmentTokens * kDim), prefix = Random(kPrefix * kDim);
  Floats dx(x.size()), dprefix(prefix.size());
  w = Random((kSegmentTokens + kSegments * kPrefix) * kDim);
  const auto insert = [&] {
    Floats y(w.size());
    ref::InsertPrefix({kSegments, kPrefix, kDim, kCu.data(), x.data(), prefix.data(), y.data()});
    return Inner(w, y);
  };
  ref::RemovePrefix({kSegments, kPrefix, kDim, kCu.data(), w.data(), dx.data(), dprefix.data()});
  CheckGradient(x, dx, insert, "prefixed x");
  CheckGradient(prefix, dprefix, insert, "prefix");
}

}  // namespace
}  // namespace navit::kernels
