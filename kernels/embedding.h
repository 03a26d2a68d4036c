// Token embedding of packed text: a row of the token table plus a row of the 1-D position table,
// the position being the token's place within its segment.
#ifndef NAVIT_KERNELS_EMBEDDING_H_
#define NAVIT_KERNELS_EMBEDDING_H_

#include <cstdint>

#include "kernels/thread_pool.h"

namespace navit::kernels {

// y[t, :] = token_table[ids[t], :] + position_table[t − cu_seqlens[s(t)], :]
//   y               [tokens, dim]        assigned
//   ids             [tokens]             each < vocabulary, which the caller has checked
//   cu_seqlens      [segments + 1]       ascending from 0; back() <= tokens
//   token_table     [vocabulary, dim]
//   position_table  [max_positions, dim] no segment is longer than max_positions
// Tokens from cu_seqlens[segments] on are padding: their ids are not read, their rows of y are 0.
struct EmbeddingForwardArgs {
  int64_t tokens = 0, segments = 0, dim = 0, vocabulary = 0, max_positions = 0;
  const uint16_t* ids = nullptr;
  const int32_t* cu_seqlens = nullptr;
  const float* token_table = nullptr;
  const float* position_table = nullptr;
  float* y = nullptr;
};

// dtoken_table[ids[t], :] += dy[t, :] and dposition_table[place of t, :] += dy[t, :], over t in
// ascending order; rows of dy that belong to padding are not read.
struct EmbeddingBackwardArgs {
  int64_t tokens = 0, segments = 0, dim = 0, vocabulary = 0, max_positions = 0;
  const uint16_t* ids = nullptr;
  const int32_t* cu_seqlens = nullptr;
  const float* dy = nullptr;
  float* dtoken_table = nullptr;
  float* dposition_table = nullptr;
};

void EmbeddingForward(const EmbeddingForwardArgs& args, ThreadPool& pool);
void EmbeddingBackward(const EmbeddingBackwardArgs& args, ThreadPool& pool);

namespace ref {
void EmbeddingForward(const EmbeddingForwardArgs& args);
void EmbeddingBackward(const EmbeddingBackwardArgs& args);
}  // namespace ref

}  // namespace navit::kernels

#endif  // NAVIT_KERNELS_EMBEDDING_H_
