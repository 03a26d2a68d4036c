#include <cmath>
#include <vector>

#include "kernels/classification.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/classification_cpu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace navit::kernels {
namespace HWY_NAMESPACE {

// One row of logits to weight·(softmax − spread), as if there were no label; `spread` is what
// smoothing gives each class. Returns the row's loss as if the label's logit were the largest.
double SoftmaxRow(const float* z, int64_t classes, float spread, float weight, float* dz,
                  float* max) {
  const D d;
  const int64_t lanes = Lanes();
  V largest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t j = 0; j < classes; j += lanes) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(HWY_MIN(classes - j, lanes)));
    largest = hn::Max(largest, hn::IfThenElse(inside, LoadUpTo(z + j, classes - j), largest));
  }
  *max = ReduceMax(largest);
  const V shift = hn::Set(d, *max);
  V sum = hn::Zero(d), below = hn::Zero(d);
  for (int64_t j = 0; j < classes; j += lanes) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(HWY_MIN(classes - j, lanes)));
    const V x = hn::IfThenElseZero(inside, hn::Sub(LoadUpTo(z + j, classes - j), shift));
    const V e = hn::IfThenElseZero(inside, Exp(x));
    sum = hn::Add(sum, e);
    below = hn::Add(below, x);
    StoreUpTo(e, dz + j, classes - j);
  }
  const float total = ReduceAdd(sum);
  const V factor = hn::Set(d, weight / total), minus = hn::Set(d, weight * spread);
  for (int64_t j = 0; j < classes; j += lanes) {
    StoreUpTo(hn::MulSub(LoadUpTo(dz + j, classes - j), factor, minus), dz + j, classes - j);
  }
  return std::log(static_cast<double>(total)) - static_cast<double>(spread) * ReduceAdd(below);
}

// One row of logits to weight·(σ − spread); returns Σ softplus(z) − spread·z.
double SigmoidRow(const float* z, int64_t classes, float spread, float weight, float* dz) {
  const D d;
  const int64_t lanes = Lanes();
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f), low = hn::Set(d, spread);
  V loss = zero;
  for (int64_t j = 0; j < classes; j += lanes) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(HWY_MIN(classes - j, lanes)));
    const V x = LoadUpTo(z + j, classes - j);
    // e^-|z| is in (0, 1]: neither overflows nor loses the small side.
    const V e = Exp(hn::Neg(hn::Abs(x)));
    const V inverse = hn::Div(one, hn::Add(one, e));
    const V sigmoid = hn::IfThenElse(hn::Ge(x, zero), inverse, hn::Mul(e, inverse));
    const V softplus = hn::Add(hn::Max(x, zero), hn::Log1p(d, e));
    loss = hn::Add(loss, hn::IfThenElseZero(inside, hn::NegMulAdd(low, x, softplus)));
    StoreUpTo(hn::Mul(hn::Set(d, weight), hn::Sub(sigmoid, low)), dz + j, classes - j);
  }
  return ReduceAdd(loss);
}

}  // namespace HWY_NAMESPACE
}  // namespace navit::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace navit::kernels {
namespace {

HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(SigmoidRow);

// Calls row(z, label, dz), which returns the row's loss, for each row.
template <typename Row>
void ForEachRow(const ClassificationArgs& args, ThreadPool& pool, Row row) {
  std::vector<double> losses(args.rows);
  pool.ParallelFor(args.rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      losses[r] =
          row(args.logits + r * args.classes, args.label[r], args.dlogits + r * args.classes);
    }
  });
  *args.loss = 0;
  for (const double loss : losses) *args.loss += args.weight * loss;
}

}  // namespace

void SoftmaxClassification(const ClassificationArgs& args, ThreadPool& pool) {
  const float spread = args.smoothing / static_cast<float>(args.classes);
  const float share = 1 - args.smoothing, weight = static_cast<float>(args.weight);
  ForEachRow(args, pool, [&](const float* z, int32_t label, float* dz) {
    const float logit = z[label];
    float max = 0;
    const double loss = HWY_DYNAMIC_DISPATCH(SoftmaxRow)(z, args.classes, spread, weight, dz, &max);
    dz[label] -= weight * share;
    return loss - static_cast<double>(share) * (static_cast<double>(logit) - max);
  });
}

void SigmoidClassification(const ClassificationArgs& args, ThreadPool& pool) {
  const float spread = args.smoothing / static_cast<float>(args.classes);
  const float share = 1 - args.smoothing, weight = static_cast<float>(args.weight);
  ForEachRow(args, pool, [&](const float* z, int32_t label, float* dz) {
    const float logit = z[label];
    const double loss = HWY_DYNAMIC_DISPATCH(SigmoidRow)(z, args.classes, spread, weight, dz);
    dz[label] -= weight * share;
    return loss - static_cast<double>(share) * logit;
  });
}

}  // namespace navit::kernels
#endif  // HWY_ONCE
