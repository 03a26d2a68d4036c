// Times kernels on a GPU; driven by tests/gpu/bench.
//   gpu_bench [FILE]     choices of linear_tune for the linear layers of `operations`
// Reads commands, one a line, and answers each
// with a line of JSON:
//   device                             {"device": "NVIDIA ..."}
//   attention HEADS HEAD_DIM N,N,...   {"open": "attention"}: a workload of gpu_workloads.h, in
//   contrastive PAIRS DIM              place of the one before
//   adamw PARAMETERS
//   matmul SIDE
//   operations TOKENS WIDTH
//   time ITERATIONS                    {"seconds": S, "stages": {NAME: {"seconds": S, "bytes": B,
//                                      "flops": F}, ...}}, medians of the open workload
#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/bench/gpu_workloads.h"
#include "kernels/cuda/linear_candidates.h"
#include "kernels/cuda/linear_choices_file.h"

namespace navit::kernels::cuda {
namespace {

std::unique_ptr<Workload> Open(const std::string& kind, std::istream& words,
                               const LinearChoices& choices) {
  int64_t first = 0, second = 0;
  words >> first;
  if (kind == "adamw") return AdamWWorkload(first);
  if (kind == "matmul") return MatmulWorkload(first);
  words >> second;
  if (kind == "contrastive") return ContrastiveWorkload(first, second);
  if (kind == "operations") return OperationsWorkload(first, second, choices);
  if (kind != "attention") return nullptr;
  std::vector<int32_t> lengths;
  char comma = 0;
  for (int32_t length; words >> length; words >> comma) lengths.push_back(length);
  return AttentionWorkload(first, second, lengths);
}

void PrintTimes(const Workload& workload, int iterations) {
  const std::vector<double> seconds = TimeOnGpu(workload.stages, iterations);
  std::printf("{\"seconds\": %.9g, \"stages\": {", seconds.back());
  for (size_t s = 0; s < workload.stages.size(); ++s) {
    const Stage& stage = workload.stages[s];
    std::printf("%s\"%s\": {\"seconds\": %.9g, \"bytes\": %.9g, \"flops\": %.9g}",
                s == 0 ? "" : ", ", stage.name.c_str(), seconds[s], stage.bytes, stage.flops);
  }
  std::printf("}}\n");
}

int Run(const char* choices_file) {
  const std::string name = GpuName();
  if (name.empty()) {
    std::fprintf(stderr, "there is no GPU\n");
    return 1;
  }
  LinearChoices choices;
  if (choices_file != nullptr) {
    const auto read = ReadLinearChoices(choices_file);
    if (!read.ok()) {
      std::cerr << read.status().message() << "\n";
      return 2;
    }
    const std::string why_not = WhyNotHere(read->device, CurrentLinearDevice());
    if (why_not.empty()) {
      choices = *read;
    } else {
      std::cerr << choices_file << ": choices are not used: " << why_not << "\n";
    }
  }
  std::unique_ptr<Workload> workload;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "device") {
      std::printf("{\"device\": \"%s\"}\n", name.c_str());
    } else if (command == "time" && workload != nullptr) {
      int iterations = 0;
      words >> iterations;
      PrintTimes(*workload, iterations > 0 ? iterations : 1);
    } else {
      workload.reset();
      workload = Open(command, words, choices);
      if (workload == nullptr) {
        std::fprintf(stderr, "unknown: %s\n", line.c_str());
        return 2;
      }
      std::printf("{\"open\": \"%s\"}\n", command.c_str());
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace navit::kernels::cuda

int main(int argc, char** argv) { return navit::kernels::cuda::Run(argc > 1 ? argv[1] : nullptr); }
