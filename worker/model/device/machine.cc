#include "worker/model/device/machine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/status_macros.h"
#include "kernels/cuda/adamw.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/ema.h"
#include "worker/model/device/embed.h"

namespace navit {

namespace cuda = kernels::cuda;
using cuda::Bf16;

absl::StatusOr<DeviceMachine> DeviceMachine::Make(const ParameterTable& table, ModelState* state,
                                                  Device* device, cuda::LinearEngine* engine) {
  const size_t size = state->parameters.size(), bytes = size * sizeof(float);
  NAVIT_ASSIGN_OR_RETURN(DeviceBuffer parameters, DeviceBuffer::Make(device, bytes));
  NAVIT_ASSIGN_OR_RETURN(DeviceBuffer weights, DeviceBuffer::Make(device, size * sizeof(Bf16)));
  NAVIT_ASSIGN_OR_RETURN(DeviceForward forward,
                         DeviceForward::Make(table.config(), device, engine, Floats(parameters),
                                             static_cast<Bf16*>(weights.data())));
  DeviceMachine machine(std::move(forward), state);
  machine.parameters_ = std::move(parameters);
  machine.weights_ = std::move(weights);
  for (DeviceBuffer* buffer :
       {&machine.first_moment_, &machine.second_moment_, &machine.gradients_}) {
    NAVIT_ASSIGN_OR_RETURN(*buffer, DeviceBuffer::Make(device, bytes));
  }
  if (state->has_average()) {
    NAVIT_ASSIGN_OR_RETURN(machine.average_, DeviceBuffer::Make(device, bytes));
  }
  NAVIT_ASSIGN_OR_RETURN(
      machine.norm_,
      DeviceBuffer::Make(device, cuda::kGradientNormBlocks * sizeof(double) + 2 * sizeof(float)));
  NAVIT_RETURN_IF_ERROR(machine.WriteState());
  return machine;
}

DeviceMachine::~DeviceMachine() { Drain(); }

std::vector<DeviceMachine::Mirror> DeviceMachine::mirrors() {
  std::vector<Mirror> mirrors = {{&state_->parameters, &parameters_},
                                 {&state_->first_moment, &first_moment_},
                                 {&state_->second_moment, &second_moment_}};
  if (state_->has_average()) mirrors.push_back({&state_->average, &average_});
  return mirrors;
}

absl::Status DeviceMachine::WriteState() {
  contrastive_ = std::make_unique<DeviceContrastiveKernels>(&context());
  for (const Mirror& mirror : mirrors()) {
    NAVIT_RETURN_IF_ERROR(device()->Copy(mirror.device->data(), mirror.host->data(),
                                         mirror.device->bytes(), stream()));
  }
  DeviceOps::ToValues(static_cast<int64_t>(size_), parameters(),
                      static_cast<Bf16*>(weights_.data()), context());
  ZeroGradients();
  return Finish();
}

absl::StatusOr<std::unique_ptr<PackEmbedder>> DeviceMachine::MakeEmbedder(
    const ParameterTable& table, int64_t joined_tokens) {
  // The embedder's streams are not this machine's.
  NAVIT_RETURN_IF_ERROR(Finish());
  const bool averaged = state_->has_average();
  return MakeEmbedderOf(&table, Floats(averaged ? average_ : parameters_),
                        averaged ? nullptr : static_cast<Bf16*>(weights_.data()), joined_tokens,
                        device(), engine());
}

absl::Status DeviceMachine::ReadState() {
  NAVIT_RETURN_IF_ERROR(status());
  for (const Mirror& mirror : mirrors()) {
    NAVIT_RETURN_IF_ERROR(device()->Copy(mirror.host->data(), mirror.device->data(),
                                         mirror.device->bytes(), stream()));
  }
  return Finish();
}

absl::Status DeviceMachine::ReadGradients() {
  NAVIT_RETURN_IF_ERROR(status());
  NAVIT_RETURN_IF_ERROR(
      device()->Copy(state_->gradients.data(), gradients_.data(), size_ * sizeof(float), stream()));
  return Finish();
}

DeviceBatch DeviceMachine::Shape(const Batch& batch) {
  DeviceBatch shape;
  shape.count = batch.examples();
  shape.image_cu_seqlens.tokens = batch.image_tokens();
  shape.image_cu_seqlens.segments = batch.examples();
  shape.text_cu_seqlens.tokens = batch.text_tokens();
  shape.text_cu_seqlens.segments = batch.examples();
  return shape;
}

absl::Status DeviceMachine::Start() {
  NAVIT_RETURN_IF_ERROR(DeviceForward::Start());
  // All calls of the step before were made.
  notes_.clear();
  return absl::OkStatus();
}

absl::StatusOr<const Bf16*> DeviceMachine::OutputGradients(const float* values, int64_t count) {
  NAVIT_ASSIGN_OR_RETURN(Bf16* const pinned, TakePinned(count));
  std::transform(values, values + count, pinned, cuda::FloatToBf16);
  const size_t bytes = count * sizeof(Bf16);
  NAVIT_RETURN_IF_ERROR(GrowBuffer(bytes, device(), &output_gradients_));
  NAVIT_RETURN_IF_ERROR(device()->Copy(output_gradients_.data(), pinned, bytes, stream()));
  return static_cast<const Bf16*>(output_gradients_.data());
}

void DeviceMachine::ZeroGradients() {
  DeviceOps::FillZero(static_cast<int64_t>(size_), Floats(gradients_), context());
}

void DeviceMachine::SetGradient(size_t offset, float value) {
  context().Keep(device()->Copy(Floats(gradients_) + offset, &value, sizeof(value), stream()));
}

GradientProgress DeviceMachine::Progress(GradientReducer* reducer) {
  return [this, reducer](size_t complete) {
    notes_.push_back({reducer, complete});
    const auto tell = [](void* note) {
      static_cast<Note*>(note)->reducer->Complete(static_cast<Note*>(note)->complete);
    };
    context().Keep(device()->CallOnHost(tell, &notes_.back(), stream()));
  };
}

absl::Status DeviceMachine::Norm(double clip_norm, float* norm, float* scale) {
  double* const partial = static_cast<double*>(norm_.data());
  float* const results = reinterpret_cast<float*>(partial + cuda::kGradientNormBlocks);
  context().Keep("norm of the gradient",
                 cuda::GradientNorm({.count = static_cast<int64_t>(size_),
                                     .grad = Floats(gradients_),
                                     .max_norm = static_cast<float>(clip_norm),
                                     .partial = partial,
                                     .norm = results,
                                     .scale = results + 1},
                                    stream()));
  float host[2] = {};
  NAVIT_RETURN_IF_ERROR(device()->Copy(host, results, sizeof(host), stream()));
  NAVIT_RETURN_IF_ERROR(Finish());
  *norm = host[0];
  *scale = host[1];
  return absl::OkStatus();
}

absl::Status DeviceMachine::PrepareRanges(std::vector<UpdateRange> ranges) {
  if (ranges == ranges_) return absl::OkStatus();
  ranges_ = std::move(ranges);
  std::vector<cuda::AdamWRange> updated;
  for (const UpdateRange& range : ranges_) {
    if (range.rule.frozen) continue;
    updated.push_back({static_cast<int64_t>(range.begin), static_cast<int64_t>(range.end),
                       range.rule.lr_scale, range.rule.weight_decay});
  }
  const std::vector<cuda::AdamWPiece> pieces = cuda::MakeAdamWPieces(updated);
  pieces_ = static_cast<int64_t>(pieces.size());
  if (pieces.empty()) return absl::OkStatus();
  const size_t bytes = pieces.size() * sizeof(cuda::AdamWPiece);
  NAVIT_RETURN_IF_ERROR(GrowBuffer(bytes, device(), &piece_));
  return device()->Copy(piece_.data(), pieces.data(), bytes, stream());
}

absl::StatusOr<UpdateResult> DeviceMachine::Update(const ParameterTable& table,
                                                   const OptimizerOptions& options,
                                                   double learning_rate) {
  NAVIT_RETURN_IF_ERROR(PrepareRanges(UpdateRanges(table, options)));
  for (const UpdateRange& range : ranges_) {
    if (!range.rule.frozen) continue;
    DeviceOps::FillZero(static_cast<int64_t>(range.end - range.begin),
                        Floats(gradients_) + range.begin, context());
  }
  UpdateResult result;
  result.learning_rate = learning_rate;
  float norm = 0, scale = 0;
  NAVIT_RETURN_IF_ERROR(Norm(options.clip_norm, &norm, &scale));
  result.gradient_norm = norm;
  if (!std::isfinite(norm)) {
    result.skipped = true;
    NAVIT_RETURN_IF_ERROR(UpdateLossParameters(table, &result.logit_scale));
    return result;
  }
  ++state_->updates;
  const float* const device_scale =
      reinterpret_cast<float*>(static_cast<double*>(norm_.data()) + cuda::kGradientNormBlocks) + 1;
  context().Run("AdamW", cuda::AdamW,
                {.pieces = pieces_,
                 .piece = static_cast<const cuda::AdamWPiece*>(piece_.data()),
                 .param = Floats(parameters_),
                 .grad = Floats(gradients_),
                 .m = Floats(first_moment_),
                 .v = Floats(second_moment_),
                 .weight = static_cast<Bf16*>(weights_.data()),
                 .step = static_cast<int64_t>(state_->updates),
                 .lr = learning_rate,
                 .beta1 = options.beta1,
                 .beta2 = options.beta2,
                 .eps = options.eps,
                 .grad_scale = device_scale});
  NAVIT_RETURN_IF_ERROR(UpdateLossParameters(table, &result.logit_scale));
  if (state_->has_average()) {
    context().Run("moving average", cuda::Ema,
                  {.count = static_cast<int64_t>(size_),
                   .decay = options.ema_decay,
                   .value = parameters(),
                   .average = Floats(average_)});
  }
  NAVIT_RETURN_IF_ERROR(status());
  return result;
}

absl::Status DeviceMachine::UpdateLossParameters(const ParameterTable& table, double* logit_scale) {
  for (const char* name : {"loss.logit_scale", "loss.logit_bias"}) {
    const ParameterInfo* info = table.FindOrNull(name);
    if (info == nullptr) continue;
    float* const host = state_->parameters.data() + info->offset;
    float* const on_device = Floats(parameters_) + info->offset;
    NAVIT_RETURN_IF_ERROR(device()->Copy(host, on_device, sizeof(float), stream()));
    NAVIT_RETURN_IF_ERROR(Finish());
    if (info->name != "loss.logit_scale") continue;
    *host = std::min(*host, kLargestLogitScale);
    *logit_scale = std::exp(*host);
    NAVIT_RETURN_IF_ERROR(device()->Copy(on_device, host, sizeof(float), stream()));
  }
  return status();
}

}  // namespace navit
