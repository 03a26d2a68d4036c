// A real etcd of Debian's etcd-server for tests, on a free port of this machine.
#ifndef NAVIT_SERVER_STORE_ETCD_PROCESS_H_
#define NAVIT_SERVER_STORE_ETCD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace navit {

// The member ends with the thread that started it. Thread-compatible.
class EtcdProcess {
 public:
  // Whether the program is installed.
  static bool Installed();
  // Starts a member with its data in `folder` and returns once it answers.
  static absl::StatusOr<std::unique_ptr<EtcdProcess>> Start(const std::string& folder);
  // SIGKILL.
  ~EtcdProcess();

  // "127.0.0.1:PORT".
  const std::string& address() const { return address_; }
  void Kill();
  // On the same port, with the same data; returns once it answers.
  absl::Status Restart();

 private:
  explicit EtcdProcess(std::string folder) : folder_(std::move(folder)) {}
  absl::Status Spawn();
  absl::Status WaitUntilItAnswers();

  const std::string folder_;
  std::string address_;
  std::string peer_address_;
  pid_t process_ = 0;
};

}  // namespace navit

#endif  // NAVIT_SERVER_STORE_ETCD_PROCESS_H_
