#include "worker/weights/timm_names.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace navit {
namespace {

class Lister {
 public:
  Lister(const ParameterTable& table, TimmFamily family, int64_t class_tokens)
      : table_(table),
        image_(table.config().image),
        naflex_(family == TimmFamily::kNaFlexVit),
        class_tokens_(class_tokens) {}

  std::vector<TimmTensor> List() {
    AddPatchEmbedding();
    AddPrefix();
    AddPositions();
    if (image_.norm_pre) AddNorm("norm_pre", "image.norm_pre");
    for (int64_t i = 0; i < image_.depth; ++i) AddBlock(absl::StrCat("blocks.", i));
    AddNorm(image_.norm_after_pooling ? "fc_norm" : "norm", "image.norm");
    if (image_.pooling == v1::ImageTowerSpec::MAP) AddPool();
    return std::move(tensors_);
  }

 private:
  TimmTensor& Add(std::string name, const std::string& ours, std::vector<int64_t> shape) {
    TimmTensor& tensor = tensors_.emplace_back();
    tensor.name = std::move(name);
    tensor.parameter = table_.FindOrNull(ours);
    tensor.shape = std::move(shape);
    return tensor;
  }

  // With the shape that it has here.
  TimmTensor& Add(std::string name, const std::string& ours) {
    return Add(std::move(name), ours, table_.Find(ours).shape);
  }

  void AddNorm(const std::string& name, const std::string& ours) {
    Add(name + ".weight", ours + ".gain");
    if (image_.layer_norm) Add(name + ".bias", ours + ".bias");
  }

  void AddMlp(const std::string& name, const std::string& ours) {
    for (const char* part : {".fc1.weight", ".fc1.bias", ".fc2.weight", ".fc2.bias"}) {
      Add(name + part, ours + part);
    }
  }

  void AddPatchEmbedding() {
    const std::string name = naflex_ ? "embeds.proj" : "patch_embed.proj";
    TimmTensor& weight = Add(name + ".weight", "image.patch_embed.weight");
    if (!naflex_) {
      const int64_t side = table_.config().patch_size;
      weight.shape = {image_.width, 3, side, side};
      weight.layout = TimmTensor::Layout::kConvolution;
    }
    // timm leaves the bias out where a norm follows (CLIP).
    Add(name + ".bias", "image.patch_embed.bias", {image_.width}).always_there = !image_.norm_pre;
  }

  void AddPrefix() {
    const std::string prefix = naflex_ ? "embeds." : "";
    if (class_tokens_ > 0) Add(prefix + "cls_token", "image.prefix", {1, 1, image_.width});
    const int64_t registers = image_.prefix_tokens - class_tokens_;
    if (registers > 0) {
      Add(prefix + "reg_token", "image.prefix", {1, registers, image_.width}).first =
          class_tokens_ * image_.width;
    }
  }

  void AddPositions() {
    const int64_t rows = table_.config().position_rows;
    if (table_.config().position != v1::ImageTowerSpec::JOINT) {
      Add("embeds.pos_embed_y", "image.position.row", {1, rows, image_.width});
      Add("embeds.pos_embed_x", "image.position.column", {1, rows, image_.width});
    } else if (naflex_) {
      Add("embeds.pos_embed", "image.position.table", {1, rows, rows, image_.width});
    } else {
      Add("pos_embed", "image.position.table",
          {1, image_.prefix_tokens + rows * rows, image_.width})
          .layout = TimmTensor::Layout::kPositionsAfterPrefix;
    }
  }

  void AddBlock(const std::string& block) {
    const std::string ours = "image." + block;
    const int64_t width = image_.width;
    AddNorm(block + ".norm1", ours + ".norm1");
    Add(block + ".attn.qkv.weight", ours + ".attn.qkv.weight");
    Add(block + ".attn.qkv.bias", ours + ".attn.qkv.bias", {3 * width}).always_there =
        image_.attention_bias;
    if (image_.qk_norm) {
      Add(block + ".attn.q_norm.weight", ours + ".attn.q_norm.gain");
      Add(block + ".attn.k_norm.weight", ours + ".attn.k_norm.gain");
    }
    Add(block + ".attn.proj.weight", ours + ".attn.proj.weight");
    Add(block + ".attn.proj.bias", ours + ".attn.proj.bias", {width});
    if (image_.has_layer_scale()) Add(block + ".ls1.gamma", ours + ".scale1.gain");
    AddNorm(block + ".norm2", ours + ".norm2");
    AddMlp(block + ".mlp", ours + ".mlp");
    if (image_.has_layer_scale()) Add(block + ".ls2.gamma", ours + ".scale2.gain");
  }

  void AddPool() {
    const int64_t width = image_.width;
    Add("attn_pool.latent", "image.pool.probe", {1, 1, width});
    for (const auto& [part, size] : {std::pair("q", width), {"kv", 2 * width}, {"proj", width}}) {
      Add(absl::StrCat("attn_pool.", part, ".weight"),
          absl::StrCat("image.pool.", part, ".weight"));
      Add(absl::StrCat("attn_pool.", part, ".bias"), absl::StrCat("image.pool.", part, ".bias"),
          {size});
    }
    AddNorm("attn_pool.norm", "image.pool.norm");
    AddMlp("attn_pool.mlp", "image.pool.mlp");
  }

  const ParameterTable& table_;
  const TowerConfig& image_;
  const bool naflex_;
  const int64_t class_tokens_;
  std::vector<TimmTensor> tensors_;
};

}  // namespace

std::vector<TimmTensor> TimmTensors(const ParameterTable& table, TimmFamily family,
                                    int64_t class_tokens) {
  return Lister(table, family, class_tokens).List();
}

}  // namespace navit
