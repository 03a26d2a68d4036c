// What a packer makes per core, beside its own decode + resize alone; and two packers beside one.
//
//   bazel build //packer/bench:packer_bench && bazel-bin/packer/bench/packer_bench
//
// The job is the default one over shards of photo-like JPEGs. A packer is a process of one thread
// pinned to a core that plans each window and makes its packs (read, decode, resize, cut, tokenize,
// serialise), and writes frames to a sink that hashes them. "Useful tokens" are image tokens of
// packs. Alone is decode + resize of the same examples to the same grids, from files in memory.
//
// Line `end_to_end`: useful tokens per CPU second of both, taken in turns window by window, and
// their ratio. Lines `stage`: microseconds per example. Line `two_packers`: useful tokens per
// second of wall time of two packers over one, and the same per CPU second. Medians of kRounds.
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/job_spec/resolve.h"
#include "common/stream_layout.h"
#include "packer/bench/photos.h"
#include "packer/image.h"
#include "packer/resize.h"
#include "packer/testing/job.h"
#include "packer/testing/tar_writer.h"
#include "proto/batches.pb.h"

namespace navit {
namespace {

constexpr int kRounds = 7;
constexpr uint32_t kSamples = 512;
constexpr uint32_t kSamplesPerShard = 256;
constexpr uint32_t kWindowSamples = 256;

struct PhotoKind {
  uint32_t width, height;
  double bits_per_pixel;
};
// Different photos of each kind; samples take them in turn.
constexpr uint32_t kPhotosPerKind = 8;
constexpr PhotoKind kKinds[] = {
    {640, 480, 1.3}, {480, 640, 2.7}, {1024, 768, 1.3}, {768, 1024, 2.7}};

double Seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}
double CpuSeconds() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }
double WallSeconds() { return Seconds(CLOCK_MONOTONIC); }

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "packer_bench: %s\n", value.status().ToString().c_str());
  std::exit(1);
}

v1::JobSpec MakeSpec() {
  v1::JobSpec spec;
  spec.set_name("bench");
  spec.mutable_data()->add_train()->set_shards("bench.tar");
  spec.mutable_data()->add_validation()->set_shards("bench.tar");
  spec.mutable_packing()->set_window_samples(kWindowSamples);
  spec.mutable_train_for()->set_epochs(1);
  ResolveJobSpec(&spec);
  return spec;
}

// Files of the samples, in the order of the shards.
struct Dataset {
  std::vector<std::string> photos;
  std::vector<PhotoKind> kinds;
  std::shared_ptr<const v1::DataManifest> manifest;

  size_t PhotoOf(uint64_t sample) const { return sample % photos.size(); }
};

Dataset MakeDataset(const std::string& folder) {
  Dataset data;
  for (uint32_t i = 0; i < kPhotosPerKind; ++i) {
    for (const PhotoKind& kind : kKinds) {
      data.photos.push_back(MakePhoto(kind.width, kind.height, kind.bits_per_pixel, 2000 + i));
      data.kinds.push_back(kind);
    }
  }
  std::vector<std::string> shards;
  for (uint32_t first = 0; first < kSamples; first += kSamplesPerShard) {
    testing::TarWriter tar;
    for (uint32_t i = first; i < first + kSamplesPerShard; ++i) {
      tar.Add(absl::StrCat(i, ".jpg"), data.photos[data.PhotoOf(i)]);
      tar.Add(absl::StrCat(i, ".txt"), absl::StrCat("a photograph of noise, number ", i));
    }
    shards.push_back(absl::StrCat(folder, "/", shards.size(), ".tar"));
    testing::WriteBytes(shards.back(), tar.Finish());
  }
  data.manifest = testing::MakeManifest(shards, "");
  return data;
}

// What a packer made, and took.
struct Made {
  uint64_t tokens = 0;
  double cpu_seconds = 0;
  double wall_seconds = 0;
};

class Packer {
 public:
  Packer(const v1::JobSpec& spec, const Dataset& data)
      : plane_(spec, data.manifest),
        windows_(StreamLayout::ForJob(spec, *data.manifest).windows()) {}

  uint64_t windows() const { return windows_; }
  WindowPlan Plan(uint64_t window) { return OrDie(plane_.planner->Plan(v1::SPLIT_TRAIN, window)); }

  // Plans and makes one window. Adds to `stages` the seconds of each and returns the tokens.
  uint64_t Run(uint64_t window, std::array<double, kStages>* stages) {
    const double begin = WallSeconds();
    const WindowPlan plan = Plan(window);
    (*stages)[static_cast<size_t>(Stage::kPlan)] += WallSeconds() - begin;
    uint64_t tokens = 0;
    for (uint32_t p = 0; p < plan.packs(); ++p) {
      PackedBytes made = OrDie(plane_.maker->Make(plan, p));
      tokens += made.header.image_tokens();
      for (int s = 0; s < kStages; ++s) (*stages)[s] += made.stats.stage_seconds[s];
      Sink(std::move(made));
    }
    return tokens;
  }

  Made RunAll() {
    std::array<double, kStages> stages = {};
    Made made;
    const double cpu = CpuSeconds(), wall = WallSeconds();
    for (uint64_t w = 0; w < windows_; ++w) made.tokens += Run(w, &stages);
    made.cpu_seconds = CpuSeconds() - cpu;
    made.wall_seconds = WallSeconds() - wall;
    return made;
  }

  uint64_t digest() const { return digest_; }

 private:
  // The end of the stream: the frame as it goes out, hashed instead of sent.
  void Sink(PackedBytes made) {
    v1::PushRequest frame;
    *frame.mutable_header() = std::move(made.header);
    *frame.mutable_payload() = std::move(made.payload);
    frame.SerializeToString(&wire_);
    digest_ ^= XXH3_64bits(wire_.data(), wire_.size());
  }

  testing::DataPlane plane_;
  const uint64_t windows_;
  std::string wire_;
  uint64_t digest_ = 0;
};

// Decode + resize of the examples of a plan.
class Alone {
 public:
  Alone(const v1::JobSpec& spec, const Dataset& data)
      : patch_size_(spec.model().image().patch_size()), data_(data) {}

  void Run(const WindowPlan& plan) {
    for (const PlannedExample& example : plan.examples) {
      const size_t photo = data_.PhotoOf(example.sample);
      const PhotoKind& kind = data_.kinds[photo];
      const uint32_t width = example.grid_columns * patch_size_;
      const uint32_t height = example.grid_rows * patch_size_;
      if (DecodeImage(data_.photos[photo], v1::ShardIndex::JPEG, kind.width, kind.height, width,
                      height, &decoded_) != v1::HOLE_REASON_NONE) {
        std::abort();
      }
      ResizeImage(decoded_, width, height, Interpolation::kBicubic, &scratch_, &resized_);
    }
  }

 private:
  const uint32_t patch_size_;
  const Dataset& data_;
  DecodedImage decoded_;
  Image resized_;
  ResizeScratch scratch_;
};

void Pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) std::perror("packer_bench: pin");
}

std::vector<int> Cores() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

void EndToEnd(const v1::JobSpec& spec, const Dataset& data) {
  Packer packer(spec, data);
  Alone alone(spec, data);
  std::vector<double> packer_rates, alone_rates, ratios;
  std::array<double, kStages> stages = {};
  double packer_wall = 0;
  uint64_t examples = 0;
  for (int round = 0; round <= kRounds; ++round) {  // the first is the warm-up
    double made_in = 0, alone_in = 0;
    uint64_t tokens = 0;
    if (round == 1) stages = {};
    for (uint64_t w = 0; w < packer.windows(); ++w) {
      const WindowPlan plan = packer.Plan(w);
      const double begin = CpuSeconds(), begin_wall = WallSeconds();
      tokens += packer.Run(w, &stages);
      const double middle = CpuSeconds();
      if (round > 0) packer_wall += WallSeconds() - begin_wall;
      alone.Run(plan);
      alone_in += CpuSeconds() - middle;
      made_in += middle - begin;
      if (round > 0) examples += plan.examples.size();
    }
    if (round == 0) continue;
    packer_rates.push_back(static_cast<double>(tokens) / made_in);
    alone_rates.push_back(static_cast<double>(tokens) / alone_in);
    ratios.push_back(alone_in / made_in);
  }
  std::printf("end_to_end tokens_per_cpu_second=%.0f alone_tokens_per_cpu_second=%.0f ratio=%.4f\n",
              Median(packer_rates), Median(alone_rates), Median(ratios));
  const double per_example = 1e6 / static_cast<double>(examples);
  double named = 0;
  for (int s = 0; s < kStages; ++s) {
    named += stages[s];
    std::printf("stage name=%s us_per_example=%.2f share=%.4f\n", StageName(static_cast<Stage>(s)),
                stages[s] * per_example, stages[s] / packer_wall);
  }
  std::printf("stage name=rest us_per_example=%.2f share=%.4f\n",
              (packer_wall - named) * per_example, 1 - named / packer_wall);
}

// `count` packers in processes of their own, each making all windows, begun together.
std::vector<Made> RunPackers(const v1::JobSpec& spec, const Dataset& data,
                             const std::vector<int>& cores, int count) {
  int ready[2], go[2], results[2];
  if (pipe(ready) != 0 || pipe(go) != 0 || pipe(results) != 0) std::abort();
  for (int i = 0; i < count; ++i) {
    if (fork() != 0) continue;
    Pin(cores[i]);
    Packer packer(spec, data);
    std::array<double, kStages> stages = {};
    packer.Run(0, &stages);  // warm-up
    char byte = 0;
    if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1) _exit(1);
    const Made made = packer.RunAll();
    _exit(write(results[1], &made, sizeof(made)) == sizeof(made) ? 0 : 1);
  }
  std::vector<char> bytes(count);
  for (int i = 0; i < count; ++i) {
    if (read(ready[0], &bytes[i], 1) != 1) std::abort();
  }
  if (write(go[1], bytes.data(), bytes.size()) != count) std::abort();
  std::vector<Made> all(count);
  for (Made& made : all) {
    if (read(results[0], &made, sizeof(made)) != sizeof(made)) std::abort();
  }
  for (int i = 0; i < count; ++i) wait(nullptr);
  for (const int fd : {ready[0], ready[1], go[0], go[1], results[0], results[1]}) close(fd);
  return all;
}

struct Rates {
  double per_wall_second = 0;
  double per_cpu_second = 0;
};

Rates RatesOf(const std::vector<Made>& all) {
  uint64_t tokens = 0;
  double cpu = 0, wall = 0;
  for (const Made& made : all) {
    tokens += made.tokens;
    cpu += made.cpu_seconds;
    wall = std::max(wall, made.wall_seconds);
  }
  return {static_cast<double>(tokens) / wall, static_cast<double>(tokens) / cpu};
}

void TwoPackers(const v1::JobSpec& spec, const Dataset& data, const std::vector<int>& cores) {
  if (cores.size() < 2) {
    std::printf("two_packers skipped: one core\n");
    return;
  }
  std::vector<double> wall, cpu;
  for (int round = 0; round < kRounds; ++round) {
    const Rates one = RatesOf(RunPackers(spec, data, cores, 1));
    const Rates two = RatesOf(RunPackers(spec, data, cores, 2));
    wall.push_back(two.per_wall_second / one.per_wall_second);
    cpu.push_back(two.per_cpu_second / one.per_cpu_second);
  }
  std::printf("two_packers wall_ratio=%.3f cpu_second_ratio=%.3f\n", Median(wall), Median(cpu));
}

int Main() {
  const std::string folder =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/packer_bench.", getpid());
  std::filesystem::create_directories(folder);
  const v1::JobSpec spec = MakeSpec();
  const Dataset data = MakeDataset(folder);
  const std::vector<int> cores = Cores();
  TwoPackers(spec, data, cores);
  std::fflush(stdout);
  Pin(cores[0]);
  EndToEnd(spec, data);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace navit

int main() { return navit::Main(); }
