// The physical limit: the same bytes through a process that reads one socket and writes another.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "server/bench/packs.h"

namespace navit::bench {
namespace {

// Tried: 64 KiB, 256 KiB, 1 MiB; this one is the fastest or within noise of it.
constexpr size_t kForwardBytes = 256 << 10;

void Must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::exit(1);
}

int Dial(const std::string& address) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  Must(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0, "connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

bool WriteAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = write(fd, data, size);
    if (n <= 0) return false;
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

bool ReadAll(int fd, char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = read(fd, data, size);
    if (n <= 0) return false;
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

int TcpForwarder(int packers, int trainers) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Must(bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0, "bind");
  Must(listen(listener, 16) == 0, "listen");
  socklen_t length = sizeof(at);
  getsockname(listener, reinterpret_cast<sockaddr*>(&at), &length);
  std::printf("127.0.0.1:%d\n", ntohs(at.sin_port));
  std::fflush(stdout);
  // The first byte says who it is. A packer's bytes go to the trainer of its number.
  std::vector<int> from, to;
  while (static_cast<int>(from.size()) < packers || static_cast<int>(to.size()) < trainers) {
    const int fd = accept(listener, nullptr, nullptr);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    char role = 0;
    Must(fd >= 0 && ReadAll(fd, &role, 1), "accept");
    (role == 'p' ? from : to).push_back(fd);
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < from.size(); ++i) {
    threads.emplace_back([in = from[i], out = to[i % to.size()]] {
      std::vector<char> buffer(kForwardBytes);
      ssize_t n;
      while ((n = read(in, buffer.data(), buffer.size())) > 0) {
        if (!WriteAll(out, buffer.data(), static_cast<size_t>(n))) return;
      }
      shutdown(out, SHUT_WR);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

int TcpPacker(const std::string& address, const Load& load, int number, int packers) {
  const int fd = Dial(address);
  Must(WriteAll(fd, "p", 1), "write");
  const std::string bytes = RandomBytes(load.max_bytes + kSlackBytes);
  for (uint64_t o = static_cast<uint64_t>(number); o < load.packs; o += packers) {
    const uint64_t size = load.Bytes(o);
    Must(WriteAll(fd, reinterpret_cast<const char*>(&size), sizeof(size)) &&
             WriteAll(fd, bytes.data() + PayloadOffset(o), size),
         "write");
  }
  close(fd);
  return 0;
}

int TcpTrainer(const std::string& address, const Load& load) {
  const int fd = Dial(address);
  Must(WriteAll(fd, "t", 1), "write");
  std::vector<char> buffer(load.max_bytes);
  Meter meter;
  uint64_t size = 0;
  for (uint64_t n = 0; ReadAll(fd, reinterpret_cast<char*>(&size), sizeof(size)); ++n) {
    if (size > buffer.size() || !ReadAll(fd, buffer.data(), size)) return 1;
    meter.Count(size, n * load.trainers >= 2 * load.packs_per_step);
  }
  meter.Print();
  return 0;
}

}  // namespace navit::bench
