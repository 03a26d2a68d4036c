// What the workers of each job say of their own work, added up: rates of the last half minute, how
// the phases of a step went over time, and the histograms of the packs. Fed with the telemetry of
// heartbeats (proto/telemetry.proto); lost when the coordinator ends, and no part of its protocol.
#ifndef NAVIT_SERVER_TELEMETRY_TELEMETRY_BOOK_H_
#define NAVIT_SERVER_TELEMETRY_TELEMETRY_BOOK_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "proto/fleet.pb.h"
#include "proto/telemetry.pb.h"

namespace navit {

// Thread-safe. Bounded: a few hundred points and a worker's newest report per job.
class TelemetryBook {
 public:
  // `unix_now`: seconds. Rates count from a process's first report on; the histograms and tokens of
  // a packer's first report count whole. Pass only telemetry of jobs that exist.
  void OnReport(const v1::WorkerReport& report, double unix_now);

  // Empty: no worker has said anything of the job.
  v1::JobTelemetry Job(const std::string& job, double unix_now) const;

  // The job was deleted. What its packers had counted is remembered, so that a later job of the
  // name begins at zero.
  void Forget(const std::string& job, double unix_now);

 private:
  static constexpr size_t kPhases = 9;
  static constexpr size_t kStages = 8;

  // Sums over all workers since the book began.
  struct Sums {
    std::array<double, kPhases> phases = {};
    std::array<double, kStages> stages = {};
    // Of all ranks; `rank_steps` counts each rank's steps.
    double rank_steps = 0;
    double flops = 0;
    double comm_bytes = 0;
    double packs = 0;
    double samples = 0;
    double read_bytes = 0;
    double blocked_downstream = 0;
    double blocked_source = 0;
  };
  // The sums at a time, with what was true then.
  struct Point {
    double time = 0;
    double ranks = 0;
    double peak_flops = 0;
    Sums sums;
  };
  struct Trainer {
    uint64_t incarnation = 0;
    double heard = 0;
    v1::TrainerTelemetry newest;
    // Own work beyond the quickest rank's, a running mean over reports.
    double lag = 0;
  };
  struct Packer {
    uint64_t incarnation = 0;
    double heard = 0;
    uint32_t threads = 0;
    double blocked_downstream = 0;
    double blocked_source = 0;
    v1::PackerTelemetry::Job newest;
  };
  struct JobBook {
    Sums sums;
    v1::PackerTelemetry::Job packing;
    std::map<std::string, Trainer> trainers;
    std::map<std::string, Packer> packers;
    std::vector<Point> points;
    // Least distance of older points, in seconds.
    double spacing = 2;
  };

  void AddTrainer(const v1::WorkerReport& report, double now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddPacker(const v1::WorkerReport& report, double now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void AddPoint(JobBook* book, double now);
  static v1::JobRates RatesOf(const JobBook& book, double now);
  static v1::PhaseSeries SeriesOf(const JobBook& book);

  mutable absl::Mutex mutex_;
  std::map<std::string, JobBook> jobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace navit

#endif  // NAVIT_SERVER_TELEMETRY_TELEMETRY_BOOK_H_
