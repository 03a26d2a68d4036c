#include "server/store/etcd_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/grpc_channel.h"
#include "common/status_macros.h"
#include "server/store/etcd_client.h"

namespace navit {

namespace {

constexpr char kProgram[] = "/usr/bin/etcd";

// A port that was free a moment ago: etcd cannot choose one itself.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

}  // namespace

bool EtcdProcess::Installed() { return access(kProgram, X_OK) == 0; }

absl::StatusOr<std::unique_ptr<EtcdProcess>> EtcdProcess::Start(const std::string& folder) {
  std::unique_ptr<EtcdProcess> etcd(new EtcdProcess(folder));
  etcd->address_ = absl::StrCat("127.0.0.1:", FreePort());
  etcd->peer_address_ = absl::StrCat("127.0.0.1:", FreePort());
  NAVIT_RETURN_IF_ERROR(etcd->Restart());
  return etcd;
}

EtcdProcess::~EtcdProcess() { Kill(); }

void EtcdProcess::Kill() {
  if (process_ == 0) return;
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  process_ = 0;
}

absl::Status EtcdProcess::Restart() {
  Kill();
  NAVIT_RETURN_IF_ERROR(Spawn());
  return WaitUntilItAnswers();
}

absl::Status EtcdProcess::Spawn() {
  const std::string url = "http://" + address_;
  const std::string peer_url = "http://" + peer_address_;
  std::vector<std::string> arguments = {kProgram,
                                        "--name=one",
                                        "--data-dir=" + folder_,
                                        "--listen-client-urls=" + url,
                                        "--advertise-client-urls=" + url,
                                        "--listen-peer-urls=" + peer_url,
                                        "--initial-advertise-peer-urls=" + peer_url,
                                        "--initial-cluster=one=" + peer_url};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = folder_ + ".log";
  process_ = fork();
  if (process_ < 0) return absl::InternalError(absl::StrCat("fork: ", strerror(errno)));
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    dup2(fd, 1);
    dup2(fd, 2);
    execv(kProgram, argv.data());
    _exit(127);
  }
  return absl::OkStatus();
}

absl::Status EtcdProcess::WaitUntilItAnswers() {
  NAVIT_ASSIGN_OR_RETURN(auto channel, MakeChannel(address_, {}));
  return EtcdClient(std::move(channel), absl::Seconds(30)).Get("any").status();
}

}  // namespace navit
