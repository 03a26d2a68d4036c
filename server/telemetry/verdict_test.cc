#include "server/telemetry/verdict.h"

#include <gtest/gtest.h>

#include <string>

namespace navit {
namespace {

void Set(google::protobuf::RepeatedPtrField<v1::NamedSeconds>* entries, const std::string& name,
         double seconds) {
  for (v1::NamedSeconds& entry : *entries) {
    if (entry.name() == name) return entry.set_seconds(seconds);
  }
  v1::NamedSeconds* entry = entries->Add();
  entry->set_name(name);
  entry->set_seconds(seconds);
}

// Two ranks that compute 1 s a step and never wait, eight packers of one thread each that are half
// idle and make the 64 packs of a step in that second.
VerdictInput Healthy() {
  VerdictInput input;
  input.running = true;
  input.packs_per_step = 64;
  input.max_packers = 32;
  input.max_trainers = 4;
  input.relay_packs = 32;
  input.relay_bytes = 50;
  input.relay_budget_bytes = 100;
  v1::JobRates& rates = input.rates;
  rates.set_seconds(30);
  rates.set_ranks(2);
  rates.set_steps_per_second(1);
  rates.set_step_seconds(1);
  Set(rates.mutable_phases(), "forward", 0.4);
  Set(rates.mutable_phases(), "backward", 0.5);
  Set(rates.mutable_phases(), "data_wait", 0.02);
  Set(rates.mutable_phases(), "comm_exposed", 0.08);
  rates.set_packs_per_second(64);
  rates.set_packers(8);
  rates.set_packer_threads(8);
  Set(rates.mutable_stages(), "read", 0.4);
  Set(rates.mutable_stages(), "decode", 2.4);
  Set(rates.mutable_stages(), "resize", 1.2);
  rates.set_mfu(0.37);
  return input;
}

// The same with trainers that wait for data half of the time.
VerdictInput Starved() {
  VerdictInput input = Healthy();
  input.rates.set_step_seconds(2);
  input.rates.set_steps_per_second(0.5);
  input.rates.set_packs_per_second(32);
  Set(input.rates.mutable_phases(), "data_wait", 1.02);
  return input;
}

std::string NumberOf(const v1::Verdict& verdict, const std::string& name) {
  for (const v1::Verdict::Number& number : verdict.numbers()) {
    if (number.name() == name) return number.value();
  }
  return "";
}

TEST(VerdictTest, TrainersThatNeverWaitCompute) {
  const v1::Verdict verdict = DecideVerdict(Healthy());
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_COMPUTE);
  EXPECT_EQ(verdict.next_action(), "trainers 2 -> 4");
  EXPECT_EQ(NumberOf(verdict, "data wait"), "2 %");
  EXPECT_EQ(NumberOf(verdict, "MFU"), "37.0 %");
}

TEST(VerdictTest, AtTheMostTrainersTheLimitIsNamed) {
  VerdictInput input = Healthy();
  input.max_trainers = 2;
  EXPECT_EQ(DecideVerdict(input).next_action(), "trainers 2 -> 4 (raise workers.trainers.max)");
}

TEST(VerdictTest, BusyPackersAreTooFew) {
  VerdictInput input = Starved();
  Set(input.rates.mutable_stages(), "decode", 4.8);
  Set(input.rates.mutable_stages(), "resize", 2.4);
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_PACKERS);
  // 64 packs in 0.98 s wanted, 32/s made by eight at 95 % of their time, and a tenth to spare.
  EXPECT_EQ(verdict.next_action(), "packers 8 -> 18");
  EXPECT_EQ(verdict.packers_wanted(), 18);
  EXPECT_EQ(NumberOf(verdict, "data wait"), "51 %");
}

TEST(VerdictTest, TrainersThatOnlyWaitWantNobodyKnowsHowMuch) {
  VerdictInput input = Starved();
  Set(input.rates.mutable_stages(), "decode", 4.8);
  Set(input.rates.mutable_phases(), "data_wait", input.rates.step_seconds());
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_PACKERS);
  EXPECT_NE(verdict.summary().find("the trainers do nothing but wait"), std::string::npos)
      << verdict.summary();
  EXPECT_EQ(verdict.next_action(), "packers 8 -> 9");
  EXPECT_EQ(NumberOf(verdict, "packs wanted"), "");
}

TEST(VerdictTest, WhereNoMorePackersAreAllowedDecodeIsNamed) {
  VerdictInput input = Starved();
  input.max_packers = 8;
  Set(input.rates.mutable_stages(), "decode", 4.8);
  Set(input.rates.mutable_stages(), "resize", 2.4);
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_DECODE);
  EXPECT_NE(verdict.next_action().find("workers.packers.max 8 -> 18"), std::string::npos)
      << verdict.next_action();
}

TEST(VerdictTest, PackersWithoutBytesBlameTheSource) {
  VerdictInput input = Starved();
  input.rates.set_blocked_source(5);
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_SOURCE);
  EXPECT_EQ(NumberOf(verdict, "packers wait for the source"), "68 %");
}

TEST(VerdictTest, StepsThatStandReadyBlameTheNetworkToTheTrainers) {
  VerdictInput input = Starved();
  input.relay_packs = 3 * 64;
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_NETWORK);
  EXPECT_NE(verdict.next_action().find("trainers"), std::string::npos);
}

TEST(VerdictTest, PacksThatTheStreamDoesNotTakeBlameTheNetworkToTheRelay) {
  VerdictInput input = Starved();
  input.rates.set_blocked_downstream(6);
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_NETWORK);
  EXPECT_NE(verdict.next_action().find("packers"), std::string::npos);
}

TEST(VerdictTest, AFullBudgetBlamesTheRelay) {
  VerdictInput input = Starved();
  input.relay_bytes = 95;
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_RELAY);
  EXPECT_EQ(verdict.next_action(), "budgets.relay_bytes 100 -> 200");
}

TEST(VerdictTest, ExposedCommunicationIsNamedWithItsShare) {
  VerdictInput input = Healthy();
  Set(input.rates.mutable_phases(), "comm_exposed", 0.4);
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_COMMUNICATION);
  EXPECT_EQ(NumberOf(verdict, "exposed communication"), "40 %");
}

TEST(VerdictTest, OfDataWaitAndCommunicationTheGreaterIsNamed) {
  VerdictInput input = Healthy();
  Set(input.rates.mutable_phases(), "data_wait", 0.2);
  Set(input.rates.mutable_phases(), "comm_exposed", 0.6);
  EXPECT_EQ(DecideVerdict(input).kind(), v1::Verdict::VERDICT_COMMUNICATION);
  Set(input.rates.mutable_phases(), "data_wait", 0.7);
  EXPECT_EQ(DecideVerdict(input).kind(), v1::Verdict::VERDICT_PACKERS);
}

TEST(VerdictTest, AStragglerIsNamedByItsRank) {
  VerdictInput input = Healthy();
  Set(input.rates.mutable_phases(), "comm_exposed", 0.4);
  input.rates.set_slowest_rank(1);
  input.rates.set_slowest_rank_lag_seconds(0.35);
  const v1::Verdict verdict = DecideVerdict(input);
  EXPECT_EQ(verdict.kind(), v1::Verdict::VERDICT_COMMUNICATION);
  EXPECT_NE(verdict.next_action().find("rank 1"), std::string::npos) << verdict.next_action();
}

TEST(VerdictTest, WithoutMeasurementsItSaysSo) {
  VerdictInput input = Healthy();
  input.rates.Clear();
  EXPECT_EQ(DecideVerdict(input).kind(), v1::Verdict::VERDICT_UNKNOWN);
  EXPECT_FALSE(DecideVerdict(input).summary().empty());
  input = Healthy();
  input.running = false;
  EXPECT_EQ(DecideVerdict(input).summary(), "the job does not run");
}

TEST(VerdictTest, WithoutPackersItAsksForOne) {
  VerdictInput input = Starved();
  input.rates.set_packers(0);
  EXPECT_EQ(DecideVerdict(input).next_action(), "start a packer");
}

}  // namespace
}  // namespace navit
