// Time of the contrastive loss, forward and backward, and the memory that it takes beyond the
// features and their gradients, with ranks that are threads of one process:
//   contrastive_loss_bench [examples] [dim] [ranks] [threads per rank]
//   contrastive_loss kind=... seconds=... gflops=... of_peak=... extra_mb=... loss=...
// extra_mb is the growth of the process's peak resident memory (10^6 bytes) during the loss: it
// counts every rank's buffers. gflops are those of 8*N^2*D operations for softmax, 6*N^2*D for
// sigmoid.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "common/log.h"
#include "kernels/peak_flops.h"
#include "worker/bench/work.h"
#include "worker/collective_threads.h"
#include "worker/model/contrastive_loss.h"

namespace navit {
namespace {

// VmHWM or VmRSS of this process.
double MemoryBytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string word;
  double kib = 0;
  while (status >> word) {
    if (word == field + ":") status >> kib;
  }
  NAVIT_CHECK(kib > 0);
  return 1024 * kib;
}

// The peak becomes what is resident now (proc(5), clear_refs).
void ResetPeak() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5" << std::flush;
  NAVIT_CHECK(clear.good());
}

// Rows of unit length; row i of images and texts resemble each other.
void DrawFeatures(int64_t examples, int64_t dim, std::vector<float>* images,
                  std::vector<float>* texts) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (std::vector<float>* features : {images, texts}) features->resize(examples * dim);
  const auto normalize = [dim](float* row) {
    double square = 0;
    for (int64_t i = 0; i < dim; ++i) square += row[i] * row[i];
    for (int64_t i = 0; i < dim; ++i) row[i] = static_cast<float>(row[i] / std::sqrt(square));
  };
  for (int64_t row = 0; row < examples; ++row) {
    for (int64_t i = row * dim; i < (row + 1) * dim; ++i) {
      (*images)[i] = normal(random);
      (*texts)[i] = (*images)[i] + normal(random);
    }
    normalize(images->data() + row * dim);
    normalize(texts->data() + row * dim);
  }
}

int Run(int64_t examples, int64_t dim, int ranks, int threads) {
  std::vector<float> images, texts;
  DrawFeatures(examples, dim, &images, &texts);
  // Touched, so that they are resident before the loss.
  std::vector<float> dimages(images.size(), 1), dtexts(texts.size(), 1);
  std::vector<uint64_t> hashes(examples);
  for (int64_t i = 0; i < examples; ++i) hashes[i] = i + 1;
  double peak = 0;
  {
    kernels::ThreadPool all(threads * ranks);
    peak = kernels::ProbePeakFlops(all);
  }
  for (const v1::LossSpec::Kind kind : {v1::LossSpec::SOFTMAX, v1::LossSpec::SIGMOID}) {
    double loss = 0;
    ResetPeak();
    const double before = MemoryBytes("VmRSS");
    const double start = Seconds();
    RunRanks(ranks, [&](Collective* collective) {
      const int64_t begin = examples * collective->rank() / ranks;
      const int64_t count = examples * (collective->rank() + 1) / ranks - begin;
      const size_t first = begin * dim, size = count * dim;
      kernels::ThreadPool pool(threads);
      CpuContrastiveKernels kernels(&pool);
      ContrastiveLossArgs args;
      args.dim = dim;
      args.images = absl::MakeConstSpan(images).subspan(first, size);
      args.texts = absl::MakeConstSpan(texts).subspan(first, size);
      args.caption_hashes = absl::MakeConstSpan(hashes).subspan(begin, count);
      args.logit_scale_parameter =
          kind == v1::LossSpec::SOFTMAX ? std::log(1 / 0.07f) : std::log(10.0f);
      args.logit_bias = -10;
      args.kind = kind;
      args.dimages = absl::MakeSpan(dimages).subspan(first, size);
      args.dtexts = absl::MakeSpan(dtexts).subspan(first, size);
      const absl::StatusOr<ContrastiveLossResult> result =
          ContrastiveLoss(args, collective, kernels);
      NAVIT_CHECK(result.ok());
      if (collective->rank() == 0) loss = result->loss;
    });
    const double seconds = Seconds() - start;
    const double extra = MemoryBytes("VmHWM") - before;
    const bool softmax = kind == v1::LossSpec::SOFTMAX;
    const double flops = (softmax ? 8.0 : 6.0) * examples * examples * dim;
    std::printf(
        "contrastive_loss kind=%s examples=%d dim=%d ranks=%d threads=%d seconds=%.2f gflops=%.1f "
        "of_peak=%.3f extra_mb=%.1f loss=%.4f\n",
        softmax ? "softmax" : "sigmoid", static_cast<int>(examples), static_cast<int>(dim), ranks,
        threads, seconds, flops / seconds / 1e9, flops / seconds / peak, extra / 1e6, loss);
  }
  return 0;
}

}  // namespace
}  // namespace navit

int main(int argc, char** argv) {
  const auto argument = [&](int index, int otherwise) {
    return std::max(1, navit::Argument(argc, argv, index, otherwise));
  };
  return navit::Run(argument(1, 32768), argument(2, 768), argument(3, 1), argument(4, 1));
}
