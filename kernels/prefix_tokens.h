// Learned tokens in front of each segment (class and register tokens): copies between packed
// tokens without them, x [T, dim], and with them, y [T + segments·prefix, dim]. Segment s of y is
// the `prefix` learned rows and then segment s of x.
#ifndef NAVIT_KERNELS_PREFIX_TOKENS_H_
#define NAVIT_KERNELS_PREFIX_TOKENS_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

//   cu_seqlens  [segments + 1]  of x, ascending from 0, back() = T
//   prefix      [prefix_tokens, dim]; null: zeros
//   y           assigned; does not alias x
struct InsertPrefixArgs {
  int64_t segments = 0, prefix_tokens = 0, dim = 0;
  const int32_t* cu_seqlens = nullptr;
  const float* x = nullptr;
  const float* prefix = nullptr;
  float* y = nullptr;
};

// The other way, and the gradient of InsertPrefix: x assigned; dprefix [prefix_tokens, dim] added
// to over segments in ascending order, null: none.
struct RemovePrefixArgs {
  int64_t segments = 0, prefix_tokens = 0, dim = 0;
  const int32_t* cu_seqlens = nullptr;
  const float* y = nullptr;
  float* x = nullptr;
  float* dprefix = nullptr;
};

// The copies of _cpu and _ref are equal bit for bit, sums to 1e-6 of the largest term.
void InsertPrefix(const InsertPrefixArgs& args, ThreadPool& pool);
void RemovePrefix(const RemovePrefixArgs& args, ThreadPool& pool);

namespace ref {
void InsertPrefix(const InsertPrefixArgs& args);
void RemovePrefix(const RemovePrefixArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_PREFIX_TOKENS_H_
