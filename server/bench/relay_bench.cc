// The processes of the relay benchmark; relay_bench.py starts them and measures.
//
//   relay_bench ROLE ADDRESS NUMBER PACKERS TRAINERS PACKS MIN_BYTES MAX_BYTES PACKS_PER_STEP
//   FOLDER
//
// Servers print their address on a line and end with their standard input, trainers print what they
// got and when (Meter).
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/process_settings.h"
#include "server/bench/packs.h"

int main(int argc, char** argv) {
  using namespace navit::bench;  // NOLINT: this file is nothing but calls into it.
  if (argc != 11) {
    std::fprintf(stderr, "relay_bench is started by relay_bench.py\n");
    return 2;
  }
  navit::ApplyProcessSettings();
  const std::string role = argv[1];
  const std::string address = argv[2];
  const int number = std::atoi(argv[3]);
  const int packers = std::atoi(argv[4]);
  Load load;
  load.trainers = std::atoi(argv[5]);
  load.packs = std::strtoull(argv[6], nullptr, 10);
  load.min_bytes = std::strtoull(argv[7], nullptr, 10);
  load.max_bytes = std::strtoull(argv[8], nullptr, 10);
  load.packs_per_step = std::strtoull(argv[9], nullptr, 10);
  if (role == "tcp-server") return TcpForwarder(packers, load.trainers);
  if (role == "tcp-packer") return TcpPacker(address, load, number, packers);
  if (role == "tcp-trainer") return TcpTrainer(address, load);
  if (role == "protobuf-server") return ProtobufRelay();
  if (role == "protobuf-packer") return ProtobufPacker(address, load, number, packers);
  if (role == "protobuf-trainer") return ProtobufTrainer(address, load);
  if (role == "relay-submit") return Submit(address, load, argv[10]);
  if (role == "relay-packer") return Packer(address, load, number);
  if (role == "relay-trainer") return Trainer(address, number);
  std::fprintf(stderr, "relay_bench: no role %s\n", role.c_str());
  return 2;
}
