// A packer for trainers' tests: keeps packs and gives them to who fetches them, or fails to.
#ifndef NAVIT_WORKER_FAKE_PACKER_H_
#define NAVIT_WORKER_FAKE_PACKER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "common/tls.h"
#include "proto/batches.pb.h"

namespace navit {

struct FakePackerOptions {
  TlsFiles tls = {};
  enum Fault {
    kNone,
    // No answer.
    kHangs,
    // The first pack comes, and then nothing.
    kHangsWithin,
    // The last pack has a byte flipped; lacks its last byte; does not come; comes twice.
    kFlipsAByte,
    kCutsAByte,
    kLeavesOneOut,
    kRepeatsOne,
  };
  Fault fault = kNone;
  // Requests that are answered as they should be before that.
  uint64_t good_requests = 0;
};

// Thread-safe.
class FakePacker {
 public:
  explicit FakePacker(FakePackerOptions options = {});
  ~FakePacker();

  const std::string& address() const;
  // Keeps the pack; what the coordinator forwards in its place.
  v1::Frame Keep(const v1::PullReply& pack);
  // The process is gone, with all its connections.
  void Kill();
  uint64_t requests() const;
  // A request is in the hands of a fault that hangs.
  void WaitUntilHanging();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace navit

#endif  // NAVIT_WORKER_FAKE_PACKER_H_
