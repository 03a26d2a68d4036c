#include "worker/child_flags.h"

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace navit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::StatusOr<std::vector<std::string>> Parse(absl::string_view text,
                                               const absl::StatusOr<int>& gpus = 0) {
  return ParseDevices(text, [gpus] { return gpus; });
}

TEST(ParseDevices, AllIsEveryGpu) {
  EXPECT_THAT(*Parse("all", 3), ElementsAre("cuda:0", "cuda:1", "cuda:2"));
  const absl::Status none = absl::NotFoundError("no driver");
  EXPECT_EQ(none, Parse("all", none).status());
}

TEST(ParseDevices, AListNamesThem) {
  EXPECT_THAT(*Parse("cpu,cpu"), ElementsAre("cpu", "cpu"));
  EXPECT_THAT(*Parse("cuda:2,cuda:0"), ElementsAre("cuda:2", "cuda:0"));
  EXPECT_THAT(Parse("cuda:0,gpu").status().message(), HasSubstr("\"gpu\" is not cpu"));
  EXPECT_THAT(Parse("cpu,").status().message(), HasSubstr("\"\" is not cpu"));
  EXPECT_EQ("GPU 0 is named twice", Parse("cuda:0,cpu,cuda").status().message());
}

TEST(ChildFlags, NamesPortsAndFilesAreOfOneTrainer) {
  const SharedFlags shared{"host-a", "0.0.0.0:7445", {7461, 7471}, "/run/ports"};
  EXPECT_THAT(*ChildFlags(shared, {"cuda:0", "cuda:1"}),
              ElementsAre(ElementsAre("--devices=", "--device=cuda:0", "--name=host-a-0",
                                      "--listen_http=0.0.0.0:7445", "--collective_ports=7461-7465",
                                      "--port_file=/run/ports.0"),
                          ElementsAre("--devices=", "--device=cuda:1", "--name=host-a-1",
                                      "--listen_http=0.0.0.0:7446", "--collective_ports=7466-7470",
                                      "--port_file=/run/ports.1")));
}

TEST(ChildFlags, WhatTheSystemChoosesItChoosesForEach) {
  EXPECT_THAT(
      *ChildFlags({"a", "[::1]:0", {}, ""}, {"cpu", "cpu"}),
      ElementsAre(
          ElementsAre("--devices=", "--device=cpu", "--name=a-0", "--listen_http=[::1]:0"),
          ElementsAre("--devices=", "--device=cpu", "--name=a-1", "--listen_http=[::1]:0")));
}

TEST(ChildFlags, PortsThatDoNotSufficeAreNamedWithTheirFlag) {
  const std::vector<std::string> three = {"cpu", "cpu", "cpu"};
  const auto refused = [&](const std::string& http, const PortRange& ports) {
    return std::string(ChildFlags({"a", http, ports, ""}, three).status().message());
  };
  EXPECT_EQ("", refused("localhost:65533", {7448, 7450}));
  EXPECT_EQ("--listen_http: 3 trainers have no ports from 65534 on: the last is 65535",
            refused("localhost:65534", {}));
  EXPECT_EQ("--listen_http: `7445` is not host:port", refused("7445", {}));
  EXPECT_EQ("--collective_ports: 7448-7449 has no port for each of 3 trainers",
            refused("localhost:7445", {7448, 7449}));
  EXPECT_EQ("", refused("localhost:7445", {7448, 7460}));
  EXPECT_EQ(
      "--listen_http: 3 trainers take the ports 7445-7447, of which some are in "
      "--collective_ports, 7447-7460",
      refused("localhost:7445", {7447, 7460}));
}

}  // namespace
}  // namespace navit
