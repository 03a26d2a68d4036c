// An audit: plan the windows of a step range again and count how often each sample of each epoch of
// each data set stands in a committed step.
#ifndef NAVIT_SERVER_CORE_AUDIT_H_
#define NAVIT_SERVER_CORE_AUDIT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/fleet.pb.h"
#include "proto/jobs.pb.h"
#include "server/core/job_state.h"

namespace navit {

// Works in chunks of windows, each one piece of work for a packer. What it needs of the job is
// copied at the start: a rollback during the audit does not confuse it.
class Audit {
 public:
  static constexpr uint64_t kWindowsPerChunk = 16;

  // Steps [first, last] of the committed ones; 0 and 0: all. INVALID_ARGUMENT: not a range of
  // committed steps. An empty job gives an audit that is done at once.
  static absl::StatusOr<Audit> Start(const JobState& job, uint64_t first_step, uint64_t last_step);

  const std::string& job() const { return job_; }
  uint64_t chunks() const { return chunks_; }
  // The windows of a chunk.
  std::vector<uint64_t> Windows(uint64_t chunk) const;
  bool ChunkDone(uint64_t chunk) const { return done_[chunk]; }
  // INVALID_ARGUMENT: not the windows of the chunk, or numbers that do not fit. `job` as at Start.
  absl::Status AddResult(const JobState& job, uint64_t chunk, const v1::AuditedWindows& result);
  void Fail(const absl::Status& status) { failure_ = status; }
  // nullopt: not all chunks are back.
  std::optional<absl::StatusOr<v1::AuditReply>> Result() const;

 private:
  struct Epoch {
    // How often each sample of the data set stands in the range.
    std::vector<uint8_t> times;
    uint64_t seen = 0;
    // Draws of the epoch in windows that lie in the range as a whole.
    uint64_t draws = 0;
  };

  // The samples of a data set are numbers [first, first + samples) of the split.
  struct Dataset {
    uint64_t first = 0;
    uint64_t samples = 0;
  };

  Epoch& EpochOf(uint32_t dataset, uint64_t epoch);
  uint32_t DatasetOf(uint64_t sample) const;
  // What the layout says of `window`: no sample of another data set or epoch, and as many as drawn.
  bool Fits(const JobState& job, const v1::AuditedWindows::Window& window) const;
  void AddDraws(const StreamLayout& layout, uint64_t window);

  std::string job_;
  uint64_t uid_ = 0;
  uint64_t first_ordinal_ = 0;
  uint64_t end_ordinal_ = 0;
  uint64_t first_window_ = 0;
  uint64_t end_window_ = 0;
  std::vector<Dataset> datasets_;
  uint64_t chunks_ = 0;
  std::vector<bool> done_;
  uint64_t left_ = 0;
  absl::Status failure_;
  // By (data set, epoch).
  std::map<std::pair<uint32_t, uint64_t>, Epoch> epochs_;
  v1::AuditReply reply_;
};

}  // namespace navit

#endif  // NAVIT_SERVER_CORE_AUDIT_H_
