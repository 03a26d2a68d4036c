#include "server/telemetry/telemetry_book.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace navit {
namespace {

// Rank `rank` after `steps` steps of 1 s, a quarter of it data wait.
v1::WorkerReport TrainerReport(const std::string& name, uint32_t rank, uint64_t steps,
                               uint64_t incarnation = 1) {
  v1::WorkerReport report;
  report.mutable_worker()->set_name(name);
  report.mutable_worker()->set_incarnation(incarnation);
  v1::TrainerTelemetry* said = report.mutable_trainer_telemetry();
  said->set_job("job");
  said->set_rank(rank);
  said->set_steps(steps);
  for (const auto& [phase, share] :
       std::map<std::string, double>{{"data_wait", 0.25}, {"forward", 0.75}}) {
    v1::NamedSeconds* entry = said->add_phases();
    entry->set_name(phase);
    entry->set_seconds(share * static_cast<double>(steps));
  }
  said->set_useful_flops(1e9 * static_cast<double>(steps));
  said->set_peak_flops(4e9);
  said->set_lag_seconds(rank * 0.1);
  return report;
}

v1::WorkerReport PackerReport(const std::string& name, uint64_t packs, uint64_t incarnation = 1) {
  v1::WorkerReport report;
  report.mutable_worker()->set_name(name);
  report.mutable_worker()->set_incarnation(incarnation);
  v1::PackerTelemetry* said = report.mutable_packer_telemetry();
  said->set_threads(2);
  v1::PackerTelemetry::Job* job = said->add_jobs();
  job->set_job("job");
  job->set_packs(packs);
  job->set_used_tokens(60 * packs);
  job->set_capacity_tokens(64 * packs);
  v1::Distribution* fill = job->mutable_fill_ratio();
  fill->add_bounds(0.5);
  fill->add_bounds(1);
  fill->add_counts(0);
  fill->add_counts(packs);
  fill->add_counts(0);
  fill->set_sum(0.9 * static_cast<double>(packs));
  v1::NamedSeconds* decode = job->add_stages();
  decode->set_name("decode");
  decode->set_seconds(0.5 * static_cast<double>(packs));
  return report;
}

double Phase(const v1::JobRates& rates, const std::string& name) {
  for (const v1::NamedSeconds& phase : rates.phases()) {
    if (phase.name() == name) return phase.seconds();
  }
  return -1;
}

TEST(TelemetryBookTest, RatesAreThoseOfTheLastHalfMinute) {
  TelemetryBook book;
  // Both ranks at one step a second from time 1000 on; before that, a hundred steps nobody saw.
  for (int s = 0; s <= 60; ++s) {
    book.OnReport(TrainerReport("a", 0, 100 + s), 1000 + s);
    book.OnReport(TrainerReport("b", 1, 100 + s), 1000 + s);
  }
  const v1::JobRates rates = book.Job("job", 1060).rates();
  EXPECT_NEAR(rates.seconds(), 30, 2);
  EXPECT_EQ(rates.ranks(), 2);
  EXPECT_NEAR(rates.steps_per_second(), 1, 0.05);
  EXPECT_NEAR(rates.step_seconds(), 1, 1e-9);
  EXPECT_NEAR(Phase(rates, "data_wait"), 0.25, 1e-9);
  EXPECT_NEAR(Phase(rates, "forward"), 0.75, 1e-9);
  EXPECT_NEAR(rates.flops_per_second(), 2e9, 1e8);
  EXPECT_NEAR(rates.mfu(), 0.25, 0.02);
  EXPECT_EQ(rates.slowest_rank(), 1);
  EXPECT_NEAR(rates.slowest_rank_lag_seconds(), 0.1, 1e-9);
}

TEST(TelemetryBookTest, PhasesOfEachPointSumToTheStep) {
  TelemetryBook book;
  for (int s = 0; s <= 20; ++s) book.OnReport(TrainerReport("a", 0, s), 1000 + s);
  const v1::PhaseSeries series = book.Job("job", 1020).series();
  ASSERT_EQ(series.time_size(), 10);
  ASSERT_EQ(series.phases_size(), 9);
  for (int i = 0; i < series.time_size(); ++i) {
    double sum = 0;
    for (const v1::PhaseSeries::Phase& phase : series.phases()) sum += phase.seconds(i);
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_NEAR(series.mfu(i), 0.25, 1e-9);
  }
}

TEST(TelemetryBookTest, AProcessThatStartsAnewCountsOn) {
  TelemetryBook book;
  book.OnReport(PackerReport("p", 10), 1000);
  book.OnReport(PackerReport("p", 14), 1002);
  book.OnReport(PackerReport("p", 3, /*incarnation=*/2), 1004);
  book.OnReport(PackerReport("q", 5), 1004);
  const v1::PackerTelemetry::Job packing = book.Job("job", 1004).packing();
  EXPECT_EQ(packing.packs(), 22);
  EXPECT_EQ(packing.used_tokens(), 60 * 22);
  EXPECT_EQ(packing.fill_ratio().counts(1), 22);
  EXPECT_NEAR(packing.fill_ratio().sum(), 0.9 * 22, 1e-9);
}

TEST(TelemetryBookTest, ASilentWorkerIsNotThere) {
  TelemetryBook book;
  book.OnReport(PackerReport("p", 10), 1000);
  book.OnReport(PackerReport("q", 10), 1000);
  for (int s = 1; s <= 20; ++s) book.OnReport(PackerReport("q", 10 + s), 1000 + s);
  const v1::JobRates rates = book.Job("job", 1020).rates();
  EXPECT_EQ(rates.packers(), 1);
  EXPECT_EQ(rates.packer_threads(), 2);
  EXPECT_NEAR(rates.packs_per_second(), 1, 0.1);
}

TEST(TelemetryBookTest, MemoryIsBoundedAndTheWholePastIsKept) {
  TelemetryBook book;
  for (int s = 0; s <= 20000; ++s) book.OnReport(TrainerReport("a", 0, s), 1000 + s);
  const v1::JobTelemetry job = book.Job("job", 21000);
  EXPECT_LE(job.series().time_size(), 360);
  EXPECT_GT(job.series().time_size(), 150);
  EXPECT_LT(job.series().time(0), 15000);
  EXPECT_NEAR(job.rates().seconds(), 30, 4);
  EXPECT_LT(job.ByteSizeLong(), 64000);
}

TEST(TelemetryBookTest, ALaterJobOfTheNameBeginsAtZero) {
  TelemetryBook book;
  book.OnReport(PackerReport("p", 10), 1000);
  book.Forget("job", 1001);
  EXPECT_EQ(book.Job("job", 1001).packing().packs(), 0);
  book.OnReport(PackerReport("p", 12), 1002);
  EXPECT_EQ(book.Job("job", 1002).packing().packs(), 2);
}

TEST(TelemetryBookTest, HistogramsThatFitNowhereAreDropped) {
  TelemetryBook book;
  v1::WorkerReport report = PackerReport("p", 10);
  report.mutable_packer_telemetry()->mutable_jobs(0)->mutable_fill_ratio()->add_counts(7);
  book.OnReport(report, 1000);
  EXPECT_EQ(book.Job("job", 1000).packing().fill_ratio().counts_size(), 0);
  EXPECT_EQ(book.Job("other", 1000).packing().packs(), 0);
}

}  // namespace
}  // namespace navit
