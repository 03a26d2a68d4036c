#include "server/telemetry/verdict.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace navit {
namespace {

// Of a step: from here on it counts.
constexpr double kDataWaitShare = 0.10;
constexpr double kCommunicationShare = 0.25;
// Of the packers' thread time.
constexpr double kMostOfTheTime = 0.5;
constexpr double kSaturated = 0.7;
// Of the packers' work.
constexpr double kDecodeShare = 0.5;
constexpr double kRelayFull = 0.9;
// Packers are asked for with this much to spare.
constexpr double kHeadroom = 1.1;

double Named(const google::protobuf::RepeatedPtrField<v1::NamedSeconds>& entries,
             absl::string_view name) {
  for (const v1::NamedSeconds& entry : entries) {
    if (entry.name() == name) return entry.seconds();
  }
  return 0;
}

std::string Percent(double share) { return absl::StrFormat("%.0f %%", 100 * share); }

// Three digits, and never an exponent.
std::string Rate(double per_second) {
  return absl::StrFormat("%.*f", per_second < 10 ? 2 : per_second < 100 ? 1 : 0, per_second);
}

// All that is decided from.
struct Facts {
  explicit Facts(const VerdictInput& in) : input(in) {
    const v1::JobRates& rates = in.rates;
    step = rates.step_seconds();
    if (step > 0) {
      data_wait = Named(rates.phases(), "data_wait") / step;
      communication = Named(rates.phases(), "comm_exposed") / step;
    }
    threads = std::max<double>(1, rates.packer_threads());
    read = Named(rates.stages(), "read");
    for (const v1::NamedSeconds& stage : rates.stages()) {
      if (stage.name() != "read" && stage.name() != "send") work += stage.seconds();
    }
    decode = Named(rates.stages(), "decode");
    // One thread sends: its time says how long the stream took to accept, not how busy makers are.
    source_share = (read + rates.blocked_source()) / threads;
    downstream_share = rates.blocked_downstream() / threads;
    work_share = work / threads;
    // Packs that the trainers would take if they never waited; 0: not known while they do nothing
    // but wait.
    const double without_wait = step * (1 - data_wait);
    if (without_wait > 0) {
      wanted_packs = static_cast<double>(in.packs_per_step) / without_wait;
    }
    steps_ready = static_cast<double>(in.relay_packs) /
                  static_cast<double>(std::max<uint64_t>(1, in.packs_per_step));
    if (in.relay_budget_bytes > 0) {
      relay_fill = static_cast<double>(in.relay_bytes) / static_cast<double>(in.relay_budget_bytes);
    }
  }

  const VerdictInput& input;
  // Seconds, and shares of them.
  double step = 0, data_wait = 0, communication = 0;
  double threads = 1;
  // Thread seconds per second.
  double read = 0, decode = 0, work = 0;
  // Of the packers' thread time.
  double source_share = 0, downstream_share = 0, work_share = 0;
  double wanted_packs = 0;
  double steps_ready = 0;
  double relay_fill = 0;
};

uint32_t PackersWanted(const Facts& facts) {
  const v1::JobRates& rates = facts.input.rates;
  if (rates.packers() == 0 || rates.packs_per_second() <= 0 || facts.wanted_packs <= 0) return 0;
  // What one packer makes when it does nothing else.
  const double busy = std::clamp(facts.work_share + facts.source_share, 0.05, 1.0);
  const double per_packer = rates.packs_per_second() / busy / rates.packers();
  const double wanted = std::ceil(kHeadroom * facts.wanted_packs / per_packer);
  return static_cast<uint32_t>(std::clamp(wanted, 1.0, 1e6));
}

void AddNumber(absl::string_view name, std::string value, v1::Verdict* verdict) {
  v1::Verdict::Number* number = verdict->add_numbers();
  number->set_name(std::string(name));
  number->set_value(std::move(value));
}

void AddNumbers(const Facts& facts, v1::Verdict* verdict) {
  const v1::JobRates& rates = facts.input.rates;
  AddNumber("step", absl::StrFormat("%.3g s", facts.step), verdict);
  AddNumber("data wait", Percent(facts.data_wait), verdict);
  AddNumber("exposed communication", Percent(facts.communication), verdict);
  AddNumber("packs made", Rate(rates.packs_per_second()) + "/s", verdict);
  if (facts.wanted_packs > 0) {
    AddNumber("packs wanted", Rate(facts.wanted_packs) + "/s", verdict);
  }
  AddNumber("packers", absl::StrCat(rates.packers(), " with ", rates.packer_threads(), " threads"),
            verdict);
  AddNumber("packers at work", Percent(facts.work_share), verdict);
  if (facts.work > 0) AddNumber("of it decode", Percent(facts.decode / facts.work), verdict);
  AddNumber("packers wait for the source", Percent(facts.source_share), verdict);
  AddNumber("packers wait for the stream", Percent(facts.downstream_share), verdict);
  AddNumber("steps ready in the relay", absl::StrFormat("%.1f", facts.steps_ready), verdict);
  AddNumber("relay budget used", Percent(facts.relay_fill), verdict);
  if (rates.mfu() > 0) AddNumber("MFU", absl::StrFormat("%.1f %%", 100 * rates.mfu()), verdict);
}

void Say(v1::Verdict::Kind kind, std::string summary, std::string action, v1::Verdict* verdict) {
  verdict->set_kind(kind);
  verdict->set_summary(std::move(summary));
  verdict->set_next_action(std::move(action));
}

void DecideCommunication(const Facts& facts, v1::Verdict* verdict) {
  const v1::JobRates& rates = facts.input.rates;
  const double exposed = facts.communication * facts.step;
  if (rates.ranks() > 1 && rates.slowest_rank_lag_seconds() > exposed / 2) {
    return Say(
        v1::Verdict::VERDICT_COMMUNICATION,
        absl::StrFormat("the ranks wait for rank %d, whose own work takes %.3g s longer than "
                        "the quickest rank's; %s of a step is exposed communication",
                        rates.slowest_rank(), rates.slowest_rank_lag_seconds(),
                        Percent(facts.communication)),
        absl::StrCat("replace or free the machine of rank ", rates.slowest_rank()), verdict);
  }
  Say(v1::Verdict::VERDICT_COMMUNICATION,
      absl::StrFormat("%s of a step is communication that nothing hides (%.3g MB/s in collectives)",
                      Percent(facts.communication), rates.comm_bytes_per_second() / 1e6),
      absl::StrCat("more packs per step (packing.sequences_per_step ", facts.input.packs_per_step,
                   " -> ", 2 * facts.input.packs_per_step, ") or a faster network"),
      verdict);
}

void DecideCompute(const Facts& facts, v1::Verdict* verdict) {
  const v1::JobRates& rates = facts.input.rates;
  std::string summary =
      absl::StrFormat("the trainers compute: data wait %s, exposed communication %s",
                      Percent(facts.data_wait), Percent(facts.communication));
  if (rates.mfu() > 0) absl::StrAppendFormat(&summary, ", MFU %.1f %%", 100 * rates.mfu());
  std::string action = absl::StrCat("trainers ", rates.ranks(), " -> ", 2 * rates.ranks());
  if (facts.input.max_trainers <= rates.ranks()) {
    absl::StrAppend(&action, " (raise workers.trainers.max)");
  }
  Say(v1::Verdict::VERDICT_COMPUTE, std::move(summary), std::move(action), verdict);
}

void DecidePackers(const Facts& facts, v1::Verdict* verdict) {
  const v1::JobRates& rates = facts.input.rates;
  const uint32_t now = rates.packers();
  const uint32_t wanted = std::max(verdict->packers_wanted(), now + 1);
  const std::string counts = absl::StrCat("packers ", now, " -> ", wanted);
  const double decode_share = facts.work > 0 ? facts.decode / facts.work : 0;
  const bool at_limit = facts.input.max_packers > 0 && now >= facts.input.max_packers;
  if (at_limit && decode_share > kDecodeShare) {
    return Say(v1::Verdict::VERDICT_DECODE,
               absl::StrFormat("decoding takes %s of the packers' work, and the job allows no more "
                               "than %d packers",
                               Percent(decode_share), facts.input.max_packers),
               absl::StrCat("store smaller images, or raise workers.packers.max ",
                            facts.input.max_packers, " -> ", wanted),
               verdict);
  }
  const std::string taken = facts.wanted_packs > 0
                                ? "the trainers would take " + Rate(facts.wanted_packs)
                                : "the trainers do nothing but wait";
  Say(v1::Verdict::VERDICT_PACKERS,
      absl::StrFormat("the packers make %s packs/s, %s", Rate(rates.packs_per_second()), taken),
      at_limit ? absl::StrCat(counts, " (raise workers.packers.max)") : counts, verdict);
}

void DecideData(const Facts& facts, v1::Verdict* verdict) {
  const v1::JobRates& rates = facts.input.rates;
  if (rates.packers() == 0) {
    return Say(v1::Verdict::VERDICT_PACKERS, "no packer is there", "start a packer", verdict);
  }
  if (facts.steps_ready >= 2) {
    return Say(v1::Verdict::VERDICT_NETWORK,
               absl::StrFormat("%.1f steps stand ready in the relay while the trainers wait for "
                               "data %s of the time: packs do not reach them fast enough",
                               facts.steps_ready, Percent(facts.data_wait)),
               "more bandwidth between coordinator and trainers", verdict);
  }
  if (facts.source_share >= kMostOfTheTime) {
    return Say(v1::Verdict::VERDICT_SOURCE,
               absl::StrFormat("the packers wait for shards %s of their time (%.3g MB/s come)",
                               Percent(facts.source_share), rates.read_bytes_per_second() / 1e6),
               "a faster source: shards nearer to the packers, or more --source_connections",
               verdict);
  }
  if (facts.work_share >= kSaturated) return DecidePackers(facts, verdict);
  if (facts.downstream_share >= kMostOfTheTime) {
    return Say(v1::Verdict::VERDICT_NETWORK,
               absl::StrFormat("the packers wait for the stream to take their packs %s of the time",
                               Percent(facts.downstream_share)),
               "more bandwidth between packers and coordinator", verdict);
  }
  if (facts.relay_fill >= kRelayFull) {
    return Say(v1::Verdict::VERDICT_RELAY,
               absl::StrFormat("the relay's budget is full (%s) with %.1f steps ready",
                               Percent(facts.relay_fill), facts.steps_ready),
               absl::StrCat("budgets.relay_bytes ", facts.input.relay_budget_bytes, " -> ",
                            2 * facts.input.relay_budget_bytes),
               verdict);
  }
  // Neither busy nor held up by anything: whatever they do, they do it too slowly.
  DecidePackers(facts, verdict);
}

}  // namespace

v1::Verdict DecideVerdict(const VerdictInput& input) {
  v1::Verdict verdict;
  if (!input.running) {
    verdict.set_summary("the job does not run");
    return verdict;
  }
  if (input.rates.seconds() <= 0 || input.rates.ranks() == 0 || input.rates.step_seconds() <= 0) {
    verdict.set_summary("nothing is measured yet: the trainers have not reported a step");
    return verdict;
  }
  const Facts facts(input);
  verdict.set_packers_wanted(PackersWanted(facts));
  AddNumbers(facts, &verdict);
  // Where both count, the greater of them.
  const bool starved = facts.data_wait > kDataWaitShare;
  const bool exposed = facts.communication > kCommunicationShare;
  if (starved && !(exposed && facts.communication > facts.data_wait)) {
    DecideData(facts, &verdict);
  } else if (exposed) {
    DecideCommunication(facts, &verdict);
  } else {
    DecideCompute(facts, &verdict);
  }
  return verdict;
}

}  // namespace navit
