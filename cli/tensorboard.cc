#include "cli/tensorboard.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/files.h"
#include "common/status_macros.h"
#include "common/step_curve.h"
#include "proto/tensorboard.pb.h"

namespace navit {
namespace {

std::array<uint32_t, 256> Crc32cTable() {
  constexpr uint32_t kReversedPolynomial = 0x82f63b78;
  std::array<uint32_t, 256> table;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kReversedPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}

uint32_t Masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

void PutLittleEndian(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

void AddScalar(const std::string& tag, double value, v1::TensorboardEvent* event) {
  v1::TensorboardSummary::Value* scalar = event->mutable_summary()->add_value();
  scalar->set_tag(tag);
  scalar->set_simple_value(static_cast<float>(value));
}

}  // namespace

uint32_t Crc32c(absl::string_view bytes) {
  static const std::array<uint32_t, 256> table = Crc32cTable();
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

std::string TfRecord(absl::string_view bytes) {
  std::string record;
  PutLittleEndian(bytes.size(), 8, &record);
  PutLittleEndian(Masked(Crc32c(record)), 4, &record);
  record.append(bytes.data(), bytes.size());
  PutLittleEndian(Masked(Crc32c(bytes)), 4, &record);
  return record;
}

std::string TensorboardEvents(const v1::Job& job, const v1::HistoryReply& history) {
  v1::TensorboardEvent head;
  head.set_wall_time(job.started_seconds());
  head.set_file_version("brain.Event:2");
  std::string file = TfRecord(head.SerializeAsString());
  double now = job.started_seconds();
  for (const v1::StepReport& step : history.steps()) {
    now += step.seconds();
    v1::TensorboardEvent event;
    event.set_wall_time(now);
    event.set_step(static_cast<int64_t>(step.step()));
    AddScalar("loss", step.loss(), &event);
    AddScalar("grad_norm", step.grad_norm(), &event);
    AddScalar("learning_rate", step.learning_rate(), &event);
    AddScalar("logit_scale", step.logit_scale(), &event);
    AddScalar("step_seconds", step.seconds(), &event);
    if (step.seconds() > 0) {
      AddScalar("useful_tokens_per_second", UsefulTokens(step) / step.seconds(), &event);
      AddScalar("examples_per_second",
                static_cast<double>(step.valid_examples()) / step.seconds(), &event);
    }
    if (step.capacity_tokens() > 0) {
      AddScalar("fill",
                static_cast<double>(step.image_tokens()) /
                    static_cast<double>(step.capacity_tokens()),
                &event);
    }
    absl::StrAppend(&file, TfRecord(event.SerializeAsString()));
  }
  for (const v1::StepScores& scores : history.scores()) {
    v1::TensorboardEvent event;
    event.set_wall_time(scores.seconds());
    event.set_step(static_cast<int64_t>(scores.step()));
    for (const v1::Scores::Score& score : scores.scores().scores()) {
      AddScalar(absl::StrCat("scores/", score.metric(), "@", score.token_budget()), score.value(),
                &event);
    }
    absl::StrAppend(&file, TfRecord(event.SerializeAsString()));
  }
  return file;
}

absl::StatusOr<std::string> WriteTensorboard(const std::string& folder, const v1::Job& job,
                                             const v1::HistoryReply& history) {
  const std::string run = absl::StrCat(folder, "/", job.name());
  NAVIT_RETURN_IF_ERROR(EnsureFolder(run));
  const std::string path = absl::StrFormat("%s/events.out.tfevents.%010d.navit", run,
                                           static_cast<int64_t>(job.started_seconds()));
  NAVIT_RETURN_IF_ERROR(AtomicWriteFile(path, TensorboardEvents(job, history)));
  return path;
}

}  // namespace navit
