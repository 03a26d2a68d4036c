// What the benchmarks of the trainer have in common: a model of two like towers, packs to train it
// on, and how time is taken.
#ifndef NAVIT_WORKER_BENCH_WORK_H_
#define NAVIT_WORKER_BENCH_WORK_H_

#include <cstdint>
#include <vector>

#include "worker/model/batch.h"
#include "worker/model/config.h"

namespace navit {

// Image and text tower of these sizes, MLPs of 4 * width, patches of 16, captions of at most 64
// bytes, embeddings of `width`.
ModelConfig BenchModel(int64_t width, int64_t depth, int64_t heads);

struct BenchPacks {
  int sequences = 0;
  // Image tokens of a sequence, which is full.
  int64_t sequence_tokens = 0;
  // An image has 20 to this many tokens (the last of a sequence what is left), a caption 10 to 40.
  int64_t most_image_tokens = 0;
};
// The same packs at every call.
std::vector<Batch> DrawPacks(const ModelConfig& config, const BenchPacks& packs);

// Of a steady clock.
double Seconds();
// The upper one of an even number; `values` is not empty.
double Median(std::vector<double> values);

// argv[index] as a number, or `otherwise`.
int Argument(int argc, char** argv, int index, int otherwise);

}  // namespace navit

#endif  // NAVIT_WORKER_BENCH_WORK_H_
