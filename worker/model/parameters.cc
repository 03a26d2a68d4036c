#include "worker/model/parameters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace navit {
namespace {

using Init = ParameterInfo::Init;
using Counter = std::array<uint32_t, 4>;

// Philox4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3").
Counter Philox(Counter counter, uint64_t key) {
  uint32_t key0 = static_cast<uint32_t>(key);
  uint32_t key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
        static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// FNV-1a, 64 bits.
uint64_t HashName(absl::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// Draws of one tensor, by element; no draw depends on another.
class TensorDraws {
 public:
  TensorDraws(uint64_t seed, absl::string_view name) : seed_(seed), stream_(HashName(name)) {}

  // Uniform in [-1, 1), a multiple of 2^-23, so that fp32 holds it exactly.
  float Uniform(size_t element) const {
    return static_cast<float>(static_cast<int32_t>(Draw(element, 0)[0] >> 8) - (1 << 23)) *
           0x1p-23f;
  }

  // Zero mean, unit variance: the sum of twelve uniforms (Irwin-Hall). Close to normal, bounded by
  // 6, and made of integer sums only: libm's logarithm and cosine differ between machines.
  float Normal(size_t element) const {
    int64_t sum = 0;
    for (uint32_t part = 0; part < 3; ++part) {
      for (const uint32_t word : Draw(element, part)) sum += word >> 8;
    }
    return static_cast<float>(sum - 6 * (int64_t{1} << 24)) * 0x1p-24f;
  }

 private:
  Counter Draw(size_t element, uint32_t part) const {
    // The stream takes the half of the counter that the element does not need.
    const uint64_t index = static_cast<uint64_t>(element) * 4 + part;
    return Philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                   static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                  seed_);
  }

  uint64_t seed_;
  uint64_t stream_;
};

float XavierBound(int64_t fan_in, int64_t fan_out) {
  return static_cast<float>(std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
}

void Initialize(const ParameterInfo& info, uint64_t seed, float* values) {
  const TensorDraws draws(seed, info.name);
  switch (info.init) {
    case Init::kZero:
      std::fill_n(values, info.size, 0.0f);
      return;
    case Init::kOne:
      std::fill_n(values, info.size, 1.0f);
      return;
    case Init::kNormal:
      for (size_t i = 0; i < info.size; ++i) values[i] = 0.02f * draws.Normal(i);
      return;
    case Init::kNormalFactor:
      for (size_t i = 0; i < info.size; ++i) values[i] = 0.14142136f * draws.Normal(i);
      return;
    case Init::kXavier:
    case Init::kXavierSquares: {
      const int64_t fan_in = info.shape[1];
      const float bound =
          XavierBound(fan_in, info.init == Init::kXavierSquares ? fan_in : info.shape[0]);
      for (size_t i = 0; i < info.size; ++i) values[i] = bound * draws.Uniform(i);
      return;
    }
    case Init::kConstant:
      std::fill_n(values, info.size, info.init_value);
      return;
  }
}

}  // namespace

void ParameterTable::Add(std::string name, std::vector<int64_t> shape, Init init, bool decay) {
  ParameterInfo info;
  info.size = 1;
  for (const int64_t side : shape) info.size *= static_cast<size_t>(side);
  info.name = std::move(name);
  info.shape = std::move(shape);
  info.offset = total_size_;
  info.decay = decay;
  info.init = init;
  total_size_ += AlignedFloats(info.size);
  parameter_count_ += info.size;
  index_.emplace(info.name, entries_.size());
  entries_.push_back(std::move(info));
}

void ParameterTable::AddConstant(std::string name, int64_t size, float value) {
  Add(std::move(name), {size}, Init::kConstant, false);
  entries_.back().init_value = value;
}

void ParameterTable::AddNorm(const std::string& name, const TowerConfig& size) {
  Add(name + ".gain", {size.width}, Init::kOne, false);
  if (size.layer_norm) Add(name + ".bias", {size.width}, Init::kZero, false);
}

void ParameterTable::AddMlp(const std::string& prefix, int64_t width, int64_t mlp_dim) {
  Add(prefix + ".fc2.weight", {width, mlp_dim}, Init::kXavier, true);
  Add(prefix + ".fc2.bias", {width}, Init::kZero, false);
  Add(prefix + ".fc1.weight", {mlp_dim, width}, Init::kXavier, true);
  Add(prefix + ".fc1.bias", {mlp_dim}, Init::kZero, false);
}

// With the sigmoid loss every class starts out at the probability 1 / (classes + 1).
void ParameterTable::AddClassifier() {
  const int64_t classes = config_.classes;
  const bool sigmoid = config_.loss == v1::LossSpec::SIGMOID_CLASSIFICATION;
  Add("image.classifier.weight", {classes, config_.image.width}, Init::kZero, true);
  AddConstant("image.classifier.bias", classes,
              sigmoid ? static_cast<float>(-std::log(static_cast<double>(classes))) : 0.0f);
}

// Last layer first: the order of the backward pass.
void ParameterTable::AddTower(const std::string& tower, const TowerConfig& size) {
  const int64_t width = size.width;
  if (config_.classes > 0) {
    AddClassifier();
  } else {
    Add(tower + ".projection.weight", {config_.embedding_dim, width}, Init::kXavier, true);
  }
  if (size.norm_after_pooling) AddNorm(tower + ".norm", size);
  if (size.pooling == v1::ImageTowerSpec::MAP) {
    AddMlp(tower + ".pool.mlp", width, size.mlp_dim);
    AddNorm(tower + ".pool.norm", size);
    Add(tower + ".pool.proj.weight", {width, width}, Init::kXavier, true);
    if (size.map_bias) {
      Add(tower + ".pool.proj.bias", {width}, Init::kZero, false);
      Add(tower + ".pool.kv.bias", {2 * width}, Init::kZero, false);
      Add(tower + ".pool.q.bias", {width}, Init::kZero, false);
    }
    Add(tower + ".pool.kv.weight", {2 * width, width}, Init::kXavierSquares, true);
    Add(tower + ".pool.q.weight", {width, width}, Init::kXavier, true);
    Add(tower + ".pool.probe", {width}, Init::kNormal, false);
  }
  if (!size.norm_after_pooling) AddNorm(tower + ".norm", size);
  for (int64_t layer = size.depth - 1; layer >= 0; --layer) {
    const std::string block = absl::StrCat(tower, ".blocks.", layer);
    const auto add_scale = [&](const char* name) {
      if (size.has_layer_scale()) AddConstant(block + name, width, size.layer_scale);
    };
    add_scale(".scale2.gain");
    AddMlp(block + ".mlp", width, size.mlp_dim);
    AddNorm(block + ".norm2", size);
    add_scale(".scale1.gain");
    Add(block + ".attn.proj.weight", {width, width}, Init::kXavier, true);
    if (size.attention_bias) Add(block + ".attn.proj.bias", {width}, Init::kZero, false);
    if (size.qk_norm) {
      Add(block + ".attn.q_norm.gain", {size.head_dim()}, Init::kOne, false);
      Add(block + ".attn.k_norm.gain", {size.head_dim()}, Init::kOne, false);
    }
    Add(block + ".attn.qkv.weight", {3 * width, width}, Init::kXavierSquares, true);
    if (size.attention_bias) Add(block + ".attn.qkv.bias", {3 * width}, Init::kZero, false);
    AddNorm(block + ".norm1", size);
  }
  if (size.norm_pre) AddNorm(tower + ".norm_pre", size);
  if (size.prefix_tokens > 0) {
    Add(tower + ".prefix", {size.prefix_tokens, width}, Init::kNormal, false);
  }
}

void ParameterTable::AddPosition() {
  using Image = v1::ImageTowerSpec;
  const int64_t rows = config_.position_rows;
  const int64_t width = config_.image.width;
  switch (config_.position) {
    case Image::SINUSOIDAL:
    case Image::ROPE:
      return;
    case Image::FOURIER:
      Add("image.position.frequencies", {width / 2, 2}, Init::kNormal, false);
      return;
    case Image::JOINT:
      Add("image.position.table", {rows, rows, width}, Init::kNormal, false);
      return;
    default: {
      const bool product = config_.position == Image::FACTORIZED_PRODUCT;
      const int64_t channels = config_.position == Image::FACTORIZED_STACK ? width / 2 : width;
      const Init init = product ? Init::kNormalFactor : Init::kNormal;
      Add("image.position.row", {rows, channels}, init, false);
      Add("image.position.column", {rows, channels}, init, false);
    }
  }
}

// What a contrastive loss learns beside the image tower.
void ParameterTable::AddText() {
  const bool sigmoid = config_.loss == v1::LossSpec::SIGMOID;
  AddConstant("loss.logit_scale", 1, sigmoid ? kInitialSigmoidLogitScale : kInitialLogitScale);
  if (sigmoid) AddConstant("loss.logit_bias", 1, kInitialLogitBias);
  AddTower("text", config_.text);
  Add("text.position", {config_.max_text_tokens, config_.text.width}, Init::kNormal, false);
  Add("text.token_embed", {config_.text_vocabulary, config_.text.width}, Init::kNormal, false);
}

ParameterTable::ParameterTable(const ModelConfig& config) : config_(config) {
  if (config.has_text()) AddText();
  AddTower("image", config.image);
  AddPosition();
  Add("image.patch_embed.weight", {config.image.width, config.patch_dim()}, Init::kXavier, true);
  if (config.patch_bias) Add("image.patch_embed.bias", {config.image.width}, Init::kZero, false);
}

const ParameterInfo* ParameterTable::FindOrNull(absl::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

const ParameterInfo& ParameterTable::Find(absl::string_view name) const {
  const ParameterInfo* info = FindOrNull(name);
  if (info == nullptr) {
    std::fprintf(stderr, "no parameter named %s\n", std::string(name).c_str());
    std::abort();
  }
  return *info;
}

void InitializeState(const ParameterTable& table, uint64_t seed, ModelState* state) {
  for (AlignedBuffer* buffer :
       {&state->parameters, &state->first_moment, &state->second_moment, &state->gradients}) {
    std::fill_n(buffer->data(), buffer->size(), 0.0f);
  }
  state->updates = 0;
  for (const ParameterInfo& info : table.entries()) {
    Initialize(info, seed, state->parameters.data() + info.offset);
  }
  StartAverage(state);
}

void StartAverage(ModelState* state) {
  std::copy_n(state->parameters.data(), state->average.size(), state->average.data());
}

}  // namespace navit
